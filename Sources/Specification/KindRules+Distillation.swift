import JSON

extension KindRules {
    /// Packing, batches by tokens, and what a stage takes over from the one before.
    func checkBatching() {
        let path = JSONPointer(["params"])
        let params = body["params"]
        let packing = given(params?["packing"])
        if let packing = packing?.object {
            let place = path / "packing"
            if (packing["plan"] == nil) == (packing["online"] == nil) { check.fail(.conflict, place, "needs either 'plan' or 'online'") }
            if packing["plan"] != nil, packing["capacity"] != nil {
                check.fail(.conflict, place / "capacity", "stands only with 'online'; a plan has a capacity of its own")
            }
            if packing["plan"] != nil, body["method"] == "pretrain" {
                check.fail(.conflict, place / "plan", "is for conversations; give 'online' to pack documents")
            }
        }
        guard let dynamic = given(params?["dynamic_batching"]) else { return }
        if packing != nil { check.fail(.conflict, path / "dynamic_batching", "excludes packing: packs are filled up already") }
        if params?["micro_batch_size"] != nil {
            check.fail(
                .conflict, path / "micro_batch_size", "has no meaning with dynamic_batching, whose 'tokens' bound a micro-batch",
                atKey: true)
        }
        if let tokens = dynamic["tokens"]?.int, tokens < dynamic["round"]?.int ?? 64 {
            check.fail(.conflict, path / "dynamic_batching" / "tokens", "is less than 'round', \(dynamic["round"]?.int ?? 64)")
        }
    }

    func checkDistillation() {
        let path = JSONPointer(["params"])
        let params = body["params"]
        if (body["teacher"] == nil) == (body["teacher_logits"] == nil) {
            let both = body["teacher"] == nil ? "" : "; both are given"
            check.fail(.conflict, JSONPointer(), "needs either 'teacher', a model, or 'teacher_logits', recorded ones\(both)")
        }
        let isRecorded = body["teacher_logits"] != nil
        if (body["validation_logits"] != nil) != (isRecorded && body["validation"] != nil) {
            let place = JSONPointer(["validation_logits"])
            check.fail(
                .conflict, body["validation_logits"] == nil ? JSONPointer() : place,
                "'validation_logits' belongs to 'teacher_logits' together with 'validation'")
        }
        for key in ["on_policy", "cosine_weight"] where isRecorded {
            guard params?[key] == true || params?[key]?.double ?? 0 > 0 else { continue }
            check.fail(.conflict, path / key, "needs a live teacher: give 'teacher' instead of 'teacher_logits'")
        }
        if params?["on_policy"] == true {
            if given(params?["packing"]) != nil {
                check.fail(.conflict, path / "on_policy", "excludes packing: what the model writes is not known before")
            }
            if given(params?["max_tokens"]) != nil {
                check.fail(.conflict, path / "max_tokens", "cannot be counted ahead where the model writes the answers; give max_steps")
            }
            if params?["sft_weight"]?.double ?? 0 > 0 {
                check.fail(.conflict, path / "sft_weight", "has no meaning with 'on_policy': the answers are the model's own")
            }
        }
        if params?["layer_map"]?.array != nil, params?["cosine_weight"]?.double ?? 0 == 0 {
            check.fail(.conflict, path / "layer_map", "is of use only with cosine_weight above 0")
        }
        let weights = ["kl_weight", "cosine_weight", "sft_weight"].map { setting($0)?.double ?? 0 }
        if weights.allSatisfy({ $0 == 0 }) {
            check.fail(.conflict, path / "kl_weight", "one of kl_weight, cosine_weight and sft_weight must be above 0")
        }
    }

    /// A value that is there and not null.
    private func given(_ value: JSONValue?) -> JSONValue? {
        guard let value, !value.isNull else { return nil }
        return value
    }
}
