import JSON

extension KindRules {
    /// What must hold between the settings of preference training and of reward models.
    func checkPreference() {
        let path = JSONPointer(["params"])
        if let preference = setting("preference_loss_weight")?.double, let tuning = setting("sft_loss_weight")?.double,
            preference == 0, tuning == 0
        {
            check.fail(.conflict, path / "preference_loss_weight", "is 0 as sft_loss_weight is: nothing would be learned")
        }
        if body["method"] == "reward", setting("loss") == "regression", body["checkpoint"]?["metric"] == "val_acc" {
            check.fail(.conflict, JSONPointer(["checkpoint", "metric"]), "regression has no accuracy: rank by val_loss")
        }
        checkHeadAdapters(path / "lora" / "target_modules")
    }

    /// Log-probabilities are computed from the head's own weights, so adapters on it would never be trained.
    private func checkHeadAdapters(_ path: JSONPointer) {
        guard setting("beta") != nil, let modules = body["params"]?["lora"]?["target_modules"]?.array,
            let place = modules.firstIndex(of: "lm_head")
        else { return }
        check.fail(.conflict, path / place, "lm_head cannot have adapters in preference training")
    }
}
