import Domain
import JSON

/// What must hold between several keys of a job. Values of a wrong type are passed over: they were reported before.
struct KindRules {
    let body: JSONObject
    let resources: ResourceRequest
    let check: SchemaCheck

    func check(_ kind: JobKind) {
        checkResources()
        checkStall()
        checkAlerts()
        switch kind {
        case .command: checkCommand()
        case .prepare: checkPrepare()
        case .train: checkTrain()
        case .convert: checkConvert()
        case .evaluate: checkEvaluate()
        case .generate: checkGenerate()
        case .serve: checkServe()
        case .search: break
        }
    }

    private func checkCommand() {
        let path = JSONPointer(["outputs"])
        var seen: Set<String> = []
        for (index, name) in (body["outputs"]?.array ?? []).enumerated() {
            guard let name = name.string, !seen.insert(name).inserted else { continue }
            check.fail(.conflict, path / index, "the output '\(name)' stands twice")
        }
        if case .array(let arguments)? = body["command"], arguments.first?.string == "" {
            check.fail(.badValue, JSONPointer(["command", "0"]), "names no program")
        }
    }

    private func checkTrain() {
        checkModelFile()
        let path = JSONPointer(["params"])
        let params = body["params"]
        let (batch, micro) = (params?["global_batch_size"]?.int ?? 32, params?["micro_batch_size"]?.int ?? 1)
        let gpus = max(1, resources.gpus)
        if batch > 0, micro > 0, micro <= 65_536, gpus <= 1024, batch % (micro * gpus) != 0 {
            let devices = gpus > 1 ? " × \(gpus) GPUs = \(micro * gpus)" : ""
            let place = params?["global_batch_size"] == nil ? path : path / "global_batch_size"
            check.fail(.conflict, place, "the global batch size \(batch) is not a multiple of the micro batch size \(micro)\(devices)")
        }
        if let lowest = params?["min_learning_rate"]?.double, lowest > params?["learning_rate"]?.double ?? 5e-6 {
            check.fail(.conflict, path / "min_learning_rate", "is greater than the learning rate \(params?["learning_rate"] ?? 5e-6)")
        }
        if let warmup = params?["warmup_steps"]?.int, let steps = params?["max_steps"]?.int, warmup > steps {
            check.fail(.conflict, path / "warmup_steps", "is greater than max_steps, \(steps)")
        }
        if body["validation"] == nil { checkWithoutValidation(params, path) }
    }

    private func checkWithoutValidation(_ params: JSONValue?, _ path: JSONPointer) {
        if let every = params?["validate_every"]?.int, every > 0 {
            check.fail(.conflict, path / "validate_every", "needs validation data: give 'validation'")
        }
        if params?["validate_at_start"]?.bool == true {
            check.fail(.conflict, path / "validate_at_start", "needs validation data: give 'validation'")
        }
        if body["checkpoint"]?["metric"]?.string == "val_loss" {
            check.fail(
                .conflict, JSONPointer(["checkpoint", "metric"]), "val_loss needs validation data: give 'validation', or rank by train_loss"
            )
        }
    }

    private func checkConvert() {
        let path = JSONPointer(["create"])
        let create = body["create"]
        guard let hidden = create?["hidden_size"]?.int, let heads = create?["num_attention_heads"]?.int, hidden > 0, heads > 0 else {
            return
        }
        if hidden % heads != 0 {
            check.fail(.conflict, path / "hidden_size", "\(hidden) is not a multiple of num_attention_heads, \(heads)")
        } else if hidden / heads % 2 != 0 {
            check.fail(
                .conflict, path / "hidden_size",
                "\(hidden) / \(heads) heads gives heads of the odd size \(hidden / heads); rotary embeddings need an even one")
        }
        if let keyValue = create?["num_key_value_heads"]?.int, keyValue > 0, heads % keyValue != 0 {
            check.fail(.conflict, path / "num_key_value_heads", "num_attention_heads, \(heads), is not a multiple of \(keyValue)")
        }
    }
}
