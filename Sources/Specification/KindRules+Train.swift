import JSON

extension KindRules {
    func checkTrain() {
        checkModelFile()
        checkBatching()
        checkArguments()
        if body["method"] == "distill" { checkDistillation() }
        let path = JSONPointer(["params"])
        if let batch = setting("global_batch_size")?.int, let micro = microBatch { checkBatch(batch, micro, path) }
        if let lowest = setting("min_learning_rate")?.double, let highest = setting("learning_rate"), lowest > highest.double ?? .infinity,
            highest.double ?? 0 > 0
        {
            check.fail(.conflict, path / "min_learning_rate", "is greater than the learning rate \(highest)")
        }
        if let warmup = setting("warmup_steps")?.int, let steps = setting("max_steps")?.int, steps > 0, warmup > steps {
            check.fail(.conflict, path / "warmup_steps", "is greater than max_steps, \(steps)")
        }
        if body["validation"] == nil { checkWithoutValidation(path) }
        checkParallel(path)
        checkPreference()
        if body["method"]?.string == TrainingMethod.grpo.name { checkReinforcement() }
    }

    /// Holds `args` to what the installed trainer lists, where that is known.
    private func checkArguments() {
        guard let args = body["args"]?.object, !args.isEmpty, let method = body["method"]?.string,
            let known = check.world.trainArguments(method: method)
        else { return }
        for (name, value) in args {
            guard let problem = known.problem(with: name, value) else { continue }
            check.fail(problem.code, JSONPointer(["args", name]), problem.detail, atKey: problem.code != .wrongType)
        }
    }

    /// Samples of a micro-batch; with dynamic batching any number.
    private var microBatch: Int? {
        body["params"]?["dynamic_batching"]?.object == nil ? setting("micro_batch_size")?.int : 1
    }

    /// The value of a key of `params`: what the job gives, else the method's default.
    func setting(_ name: String) -> JSONValue? {
        if let value = body["params"]?[name] { return value }
        return ParameterSchema.parameters(method: body["method"]?.string ?? "").first { $0.name == name }?.defaultValue
    }

    private func checkBatch(_ batch: Int, _ micro: Int, _ path: JSONPointer) {
        let gpus = max(1, resources.gpus)
        let count = gpus * resources.nodes
        guard batch > 0, micro > 0, micro <= 65_536, gpus <= 1024, batch % (micro * count) != 0 else { return }
        let nodes = resources.nodes > 1 ? " × \(resources.nodes) nodes" : ""
        let devices = (gpus > 1 ? " × \(gpus) GPUs" : "") + nodes + (count > 1 ? " = \(micro * count)" : "")
        let place = body["params"]?["global_batch_size"] == nil ? path : path / "global_batch_size"
        check.fail(.conflict, place, "the global batch size \(batch) is not a multiple of the micro batch size \(micro)\(devices)")
    }

    private func checkParallel(_ path: JSONPointer) {
        let parallel = setting("parallel")?.string
        if parallel == "none", resources.gpus > 1 {
            check.fail(.conflict, path / "parallel", "'none' trains on one GPU, and the job asks for \(resources.gpus)")
        } else if parallel == "none", resources.nodes > 1 {
            check.fail(.conflict, path / "parallel", "'none' trains on one GPU, and the job asks for \(resources.nodes) nodes")
        }
        if parallel == "none" || parallel == "ddp", let fsdp = body["params"]?["fsdp"]?.object, !fsdp.isEmpty {
            check.fail(.conflict, path / "fsdp", "needs 'parallel: fsdp' or 'auto'")
        }
    }

    private func checkWithoutValidation(_ path: JSONPointer) {
        let params = body["params"]
        if let every = params?["validate_every"]?.int, every > 0 {
            check.fail(.conflict, path / "validate_every", "needs validation data: give 'validation'")
        }
        if params?["validate_at_start"]?.bool == true {
            check.fail(.conflict, path / "validate_at_start", "needs validation data: give 'validation'")
        }
        if let metric = body["checkpoint"]?["metric"]?.string, metric.hasPrefix("val_") {
            check.fail(
                .conflict, JSONPointer(["checkpoint", "metric"]),
                "\(metric) needs validation data: give 'validation', or rank by train_loss")
        }
    }
}
