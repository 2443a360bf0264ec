import JSON

extension KindRules {
    /// What must hold for a train job of the engine `nemo-rl`.
    func checkNemoRL() {
        checkNemoRLKeys()
        checkNemoRLParameters()
        if let version = body["version"]?.string, NemoRLLayout(version: version) == nil {
            check.fail(.badValue, JSONPointer(["version"]), "'\(version)' is no release of NeMo RL such as 0.5 or 0.6.0")
        }
        let facts = NemoRLFacts(
            gpus: resources.gpus, checkpointDirectory: "/checkpoints", logDirectory: "/logs", outputDirectory: "/output",
            saveBy: saveBy)
        let context = check.world.context
        if let root = body["root"]?.string, context.absolute(root) != nil, check.world.kind(at: root) == .directory,
            check.world.kind(at: root + "/examples") != .directory
        {
            check.fail(.missingFile, JSONPointer(["root"]), "'\(root)' has no folder 'examples': it is no checkout of NeMo RL")
        }
        var literal = body
        literal["overrides"] = body["overrides"].map { .array(($0.array ?? []).map(Self.unescaped)) }
        guard let run = NemoRLRun(spec: literal, facts: facts, toleratesAbsence: true, read: context.readFile) else { return }
        for problem in run.problems { check.fail(problem.code, problem.pointer, problem.detail) }
    }

    /// When the run must save, from the job's time limit.
    private var saveBy: String? {
        guard let limit = body["timeout"].flatMap(Quantity.duration) else { return nil }
        let margin = body["save_margin"].flatMap(Quantity.duration)
        let text = NemoRLRun.saveBy(limit: limit, margin: margin)
        if text == nil {
            let place = JSONPointer([margin == nil ? "timeout" : "save_margin"])
            check.fail(.conflict, place, "leaves no time to train before the last checkpoint must be saved")
        }
        return text
    }

    /// An override as NeMo RL will get it; a reference to a job's output is a path by then.
    private static func unescaped(_ value: JSONValue) -> JSONValue {
        // What cannot be read is reported where the references of a whole job are read.
        guard let text = value.string, let parsed = try? ReferenceText(text) else { return value }
        return .string(parsed.substituting { "/\($0.raw)" })
    }

    private func checkNemoRLKeys() {
        let method = body["method"]?.string
        if body["save_margin"] != nil, body["timeout"] == nil {
            check.fail(.conflict, JSONPointer(["save_margin"]), "stands only with 'timeout'", atKey: true)
        }
        if body["teacher"] != nil, method != "distill" {
            check.fail(.conflict, JSONPointer(["teacher"]), "stands only with the method 'distill'", atKey: true)
        }
        if method == "eval" {
            for key in ["validation", "export", "save_margin"] where body[key] != nil {
                check.fail(.conflict, JSONPointer([key]), "the method 'eval' trains nothing", atKey: true)
            }
        }
        guard body["config"] == nil else { return }
        var overridden: Set<String> = []
        for text in body["overrides"]?.array ?? [] {
            overridden.insert(String((text.string ?? "").drop { "+~".contains($0) }.prefix { $0 != "=" }))
        }
        let sections = method == "eval" ? ["generation.model_name", "data."] : ["policy.model_name", "data."]
        for (key, place) in zip(["model", "dataset"], sections) {
            guard body[key] == nil, !overridden.contains(where: { $0.hasPrefix(place) }) else { continue }
            check.fail(
                .conflict, JSONPointer(), "'\(key)' is missing; give it, a 'config' that has one, or '\(place)…' in 'overrides'",
                atKey: true)
        }
        if method == "distill", body["teacher"] == nil, !overridden.contains("teacher.model_name") {
            check.fail(.conflict, JSONPointer(), "'teacher' is missing: the model that is distilled", atKey: true)
        }
        if resources.gpus < 1 {
            check.fail(.conflict, JSONPointer(["resources"]), "NeMo RL needs GPUs: ask for them by 'resources: {gpus: 1}'")
        }
    }

    private func checkNemoRLParameters() {
        let path = JSONPointer(["params"])
        let params = body["params"]
        if let batch = params?["global_batch_size"]?.int, let micro = params?["micro_batch_size"]?.int, batch > 0, micro > 0,
            micro <= 65_536, batch % micro != 0
        {
            check.fail(.conflict, path / "global_batch_size", "\(batch) is not a multiple of the micro batch size \(micro)")
        }
        let steps = params?["max_steps"]?.int
        if let schedule = params?["schedule"]?.string, schedule != "constant", steps == nil {
            check.fail(.conflict, path / "schedule", "a \(schedule) schedule must know its end: give 'max_steps'")
        }
        if let warmup = params?["warmup_steps"]?.int, let steps, warmup > steps {
            check.fail(.conflict, path / "warmup_steps", "is greater than max_steps, \(steps)")
        }
        if let lowest = params?["min_learning_rate"]?.double, let highest = params?["learning_rate"]?.double, lowest > highest {
            check.fail(.conflict, path / "min_learning_rate", "is greater than the learning rate \(highest)")
        }
        guard body["validation"] == nil, body["config"] == nil else { return }
        if let every = params?["validate_every"]?.int, every > 0 {
            check.fail(.conflict, path / "validate_every", "needs validation data: give 'validation'")
        }
        if params?["validate_at_start"]?.bool == true {
            check.fail(.conflict, path / "validate_at_start", "needs validation data: give 'validation'")
        }
        if let metric = body["checkpoint"]?["metric"]?.string, metric.hasPrefix("val_") {
            check.fail(.conflict, JSONPointer(["checkpoint", "metric"]), "\(metric) needs validation data: give 'validation'")
        }
    }
}
