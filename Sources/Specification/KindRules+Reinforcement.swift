import JSON

extension KindRules {
    /// What the keys of method `grpo` ask of each other.
    func checkReinforcement() {
        let path = JSONPointer(["params"])
        checkRollout(path)
        checkRewards(path)
        checkObjective(path)
        if let tokens = setting("max_new_tokens")?.int, let length = setting("max_length")?.int, tokens >= length - 1 {
            check.fail(.conflict, path / "max_new_tokens", "\(tokens) leaves no room for a prompt within max_length, \(length)")
        }
        if let scaling = body["params"]?["reward_scaling"], scaling.object != nil,
            (scaling["source_min"]?.double ?? 0) >= (scaling["source_max"]?.double ?? 1)
        {
            check.fail(.conflict, path / "reward_scaling", "source_max must be greater than source_min")
        }
        let longest = body["params"]?["overlong"]?["max_response_length"]?.int ?? setting("max_new_tokens")?.int
        if let overlong = body["params"]?["overlong"], overlong.object != nil, let longest, (overlong["buffer"]?.int ?? 128) > longest {
            check.fail(.conflict, path / "overlong", "the buffer is longer than the longest response, \(longest) tokens")
        }
    }

    private func checkRollout(_ path: JSONPointer) {
        if let prompts = setting("prompts_per_step")?.int, let each = setting("generations_per_prompt")?.int,
            let batch = setting("global_batch_size")?.int, prompts > 0, each > 0, batch > 0,
            !prompts.multipliedReportingOverflow(by: each).overflow, prompts * each % batch != 0
        {
            check.fail(
                .conflict, path / "global_batch_size",
                "prompts_per_step × generations_per_prompt = \(prompts) × \(each) is not a multiple of the global batch size \(batch)")
        }
        let params = body["params"]
        let asksOn = params?["dynamic_sampling"]?.bool ?? (params?["variant"]?.string == "dapo")
        if let multiplier = params?["batch_multiplier"]?.int, multiplier > 1, !asksOn {
            check.fail(.conflict, path / "batch_multiplier", "makes answers that no step uses without 'dynamic_sampling: true'")
        }
        let rollout = params?["rollout"]
        let isServer = rollout?["engine"]?.string == "server"
        if isServer, rollout?["url"] == nil { check.fail(.required, path / "rollout", "engine: server needs a 'url'") }
        if !isServer, rollout?["url"] != nil { check.fail(.conflict, path / "rollout" / "url", "stands only with engine: server") }
        if isServer, rollout?["weight_update"]?.string == "none", setting("importance_correction")?.string == "none" {
            check.fail(
                .conflict, path / "rollout" / "weight_update",
                "a server that keeps its first weights needs 'importance_correction', such as tis")
        }
    }

    private func checkRewards(_ path: JSONPointer) {
        let given = body["params"]?["rewards"]
        guard let rewards = given?.array, !rewards.isEmpty else {
            // Another type was refused already.
            if given == nil || given?.array != nil {
                check.fail(.required, path, "'rewards' is missing: say what responses are scored by, such as '- exact: {}'", atKey: true)
            }
            return
        }
        var names: Set<String> = []
        for (index, reward) in rewards.enumerated() {
            guard let kind = reward.object?.keys.first else { continue }
            let settings = reward[kind]
            if !names.insert(settings?["name"]?.string ?? kind).inserted {
                check.fail(.conflict, path / "rewards" / index, "two rewards have this name; give one another 'name'")
            }
            if let until = settings?["full_until"]?.int, let zero = settings?["zero_from"]?.int, zero <= until {
                check.fail(.conflict, path / "rewards" / index / kind / "zero_from", "must be greater than full_until, \(until)")
            }
        }
    }

    private func checkObjective(_ path: JSONPointer) {
        let params = body["params"]
        let isSequence = (params?["ratio_level"]?.string ?? (params?["variant"]?.string == "gspo" ? "sequence" : "token")) == "sequence"
        let presets = ["gspo": "sequence", "dr_grpo": "constant"]
        let level = params?["loss_level"]?.string ?? presets[params?["variant"]?.string ?? ""] ?? "token"
        if isSequence, level != "sequence" {
            check.fail(.conflict, path / "loss_level", "must be 'sequence' where ratio_level is: the ratio is the same on all tokens")
        }
        for (low, high) in [("importance_min", "importance_max"), ("advantage_min", "advantage_max")] {
            if let lower = setting(low)?.double, let upper = setting(high)?.double, lower >= upper {
                check.fail(.conflict, path / high, "must be greater than \(low), \(lower)")
            }
        }
    }
}
