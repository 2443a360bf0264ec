import JSON

/// What an Anneal job sets in NeMo RL's configuration, to be laid over the checkout's own or the user's.
///
/// Only what the spec says is set, so that all else keeps the configuration's own value. Without a `config` of the user's the steps,
/// validations and checkpoints that the spec leaves out are those of Anneal: the checkout's are those of a demonstration.
struct NemoRLMapping {
    let spec: JSONObject
    let algorithm: NemoRLAlgorithm
    let layout: NemoRLLayout
    let facts: NemoRLFacts
    /// The configuration below.
    let base: NemoRLConfig
    private(set) var overlay: JSONValue = .object([:])

    /// More steps than any training takes, for a bound that is none.
    private static let unbounded: JSONValue = 1_000_000_000

    init(spec: JSONObject, algorithm: NemoRLAlgorithm, layout: NemoRLLayout, facts: NemoRLFacts, base: NemoRLConfig) {
        (self.spec, self.algorithm, self.layout, self.facts, self.base) = (spec, algorithm, layout, facts, base)
        for setting in NemoRLSettings.plain(algorithm) { if let value = param(setting.name) { set(setting.path, value) } }
        setModel()
        setData()
        setCluster()
        if algorithm.trains { setTraining() } else { set("eval.save_path", .string(facts.outputDirectory + "/eval")) }
    }

    private mutating func setTraining() {
        setBatch()
        setOptimizer()
        setSchedule()
        setLoRA()
        setSteps()
        setCheckpoints()
        set("logger.log_dir", .string(facts.logDirectory))
        set("logger.tensorboard_enabled", true)
        if isOwnConfig { return }
        // The checkout's own configurations ask for an account.
        set("logger.wandb_enabled", false)
    }

    /// True where the user gave a configuration.
    private var isOwnConfig: Bool { spec["config"] != nil }
    private var hasValidation: Bool { spec["validation"] != nil }
    /// True where a checkpoint becomes a model in Hugging Face's format at the end.
    private var exports: Bool { spec["export"]?.string != "none" }

    private func param(_ name: String) -> JSONValue? { spec["params"]?[name].flatMap { $0.isNull ? nil : $0 } }

    private mutating func set(_ path: String, _ value: JSONValue) {
        func setting(_ target: JSONValue?, _ names: ArraySlice<String>) -> JSONValue {
            guard let name = names.first else { return value }
            var members = target?.object ?? [:]
            members[name] = setting(members[name], names.dropFirst())
            return .object(members)
        }
        overlay = setting(overlay, path.split(separator: ".").map(String.init)[...])
    }

    /// What a plain text must look like so that NeMo RL takes it as it is.
    private static func literal(_ text: String) -> JSONValue { .string(text.replacing("${", with: "\\${")) }

    private mutating func setModel() {
        if let template = param("chat_template")?.string { set("policy.tokenizer.chat_template", Self.literal(template)) }
        if let model = spec["model"]?.string {
            let (section, tokenizer) = algorithm.trains ? ("policy", "policy.tokenizer") : ("generation", "tokenizer")
            set("\(section).model_name", Self.literal(model))
            set("\(tokenizer).name", Self.literal(model))
        }
        if let teacher = spec["teacher"]?.string {
            set("teacher.model_name", Self.literal(teacher))
            set("teacher.tokenizer.name", Self.literal(teacher))
        }
    }

    private mutating func setCluster() {
        guard facts.gpus > 0 else { return }
        set("cluster.gpus_per_node", .int(Int64(facts.gpus)))
        set("cluster.num_nodes", 1)
    }

    private mutating func setBatch() {
        let own = base[dotted: "policy.train_micro_batch_size"]?.int
        guard let micro = param("micro_batch_size")?.int ?? (facts.microBatchDivisor > 1 ? own : nil) else { return }
        set("policy.train_micro_batch_size", .int(Int64(max(1, micro / facts.microBatchDivisor))))
    }

    private mutating func setOptimizer() {
        if let first = param("beta1"), let second = param("beta2") {
            set("policy.optimizer.kwargs.betas", [first, second])
        } else if param("beta1") != nil || param("beta2") != nil {
            let own = base[dotted: "policy.optimizer.kwargs.betas"]?.array ?? [0.9, 0.98]
            set("policy.optimizer.kwargs.betas", .array([param("beta1") ?? own[0], param("beta2") ?? own.last ?? 0.98]))
        }
        switch param("precision")?.string {
        case "bf16"?: set("policy.precision", "bfloat16")
        case "fp32"?: set("policy.precision", "float32")
        default: break
        }
    }

    /// The learning rate's course as PyTorch's schedulers.
    private mutating func setSchedule() {
        guard param("schedule") != nil || param("warmup_steps") != nil else { return }
        let warmup = param("warmup_steps")?.int ?? 0
        let steps = max(1, (param("max_steps")?.int ?? 1) - warmup)
        let lowest = param("min_learning_rate")?.double ?? 0
        let highest = (param("learning_rate") ?? base[dotted: "policy.optimizer.kwargs.lr"])?.double ?? 1
        let course =
            switch param("schedule")?.string {
            case "linear"?:
                Self.scheduler(
                    "LinearLR", ["start_factor": 1.0, "end_factor": .double(lowest / highest), "total_iters": .int(Int64(steps))])
            case "cosine"?: Self.scheduler("CosineAnnealingLR", ["T_max": .int(Int64(steps)), "eta_min": .double(lowest)])
            default: Self.scheduler("ConstantLR", ["factor": 1.0, "total_iters": 10_000_000_000])
            }
        guard warmup > 0 else { return set("policy.scheduler", [course]) }
        // PyTorch takes no factor of zero.
        let rise = Self.scheduler("LinearLR", ["start_factor": 1e-8, "end_factor": 1.0, "total_iters": .int(Int64(warmup))])
        set("policy.scheduler", [rise, course, ["milestones": [.int(Int64(warmup))]]])
    }

    private static func scheduler(_ name: String, _ arguments: JSONObject) -> JSONValue {
        ["name": .string("torch.optim.lr_scheduler.\(name)"), "kwargs": .object(arguments)]
    }

    private mutating func setLoRA() {
        guard let lora = param("lora") else { return }
        let place = "policy.dtensor_cfg.lora_cfg"
        set("\(place).enabled", true)
        set("\(place).dim", lora["rank"] ?? 8)
        set("\(place).alpha", lora["alpha"] ?? 32)
        set("\(place).dropout", lora["dropout"] ?? 0.0)
        let modules = lora["target_modules"]?.array
        set("\(place).match_all_linear", .bool(modules == nil))
        set("\(place).target_modules", .array(modules ?? []))
    }

    private mutating func setSteps() {
        let section = algorithm.section
        // One epoch of prompts, and how many steps there are in it, is for reinforcement and distillation no natural end.
        if !isOwnConfig, [.sft, .dpo, .rm].contains(algorithm) {
            if param("epochs") == nil { set("\(section).max_num_epochs", 1) }
            if param("max_steps") == nil { set("\(section).max_num_steps", Self.unbounded) }
        }
        if let batches = param("validation_batches")?.int { set("\(section).val_batches", batches > 0 ? .int(Int64(batches)) : -1) }
        if let atStart = param("validate_at_start") { set("\(section).val_at_start", atStart) }
        let every = param("validate_every")?.int ?? 0
        if hasValidation || (isOwnConfig && every > 0) {
            setValidation(section, every: every)
        } else if !isOwnConfig {
            // NeMo RL refuses a period where there is nothing to validate on.
            set("\(section).val_period", -1)
            set("\(section).val_at_start", false)
            if knowsEnd { set("\(section).val_at_end", false) }
        }
    }

    /// Every checkpoint needs a validation of its own to be ranked, and NeMo RL validates by its period and, in newer releases, at the end.
    private mutating func setValidation(_ section: String, every: Int) {
        if !isOwnConfig, param("validate_at_start") == nil { set("\(section).val_at_start", true) }
        if knowsEnd, !isOwnConfig { set("\(section).val_at_end", true) }
        let saves = spec["checkpoint"]?["every"]?.int ?? 0
        if isOwnConfig { return every > 0 ? set("\(section).val_period", .int(Int64(every))) : () }
        let period = ranking.hasPrefix("val:") ? Self.gcd(every, saves) : every
        set("\(section).val_period", period > 0 ? .int(Int64(period)) : Self.unbounded)
    }

    /// True where the release has `val_at_end`.
    private var knowsEnd: Bool { base[dotted: "\(algorithm.section).val_at_end"] != nil || (base.value.isEmpty && layout == .new) }

    private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }

    /// The metric that ranks the checkpoints, in NeMo RL's words.
    private var ranking: String {
        let metrics = NemoRLSettings.metrics(algorithm)
        let asked = spec["checkpoint"]?["metric"]?.string.flatMap { NemoRLSettings.metric($0, algorithm) }
        let fitting = metrics.first { hasValidation || !$0.path.hasPrefix("val:") }
        return asked ?? fitting?.path ?? "train:loss"
    }

    private mutating func setCheckpoints() {
        let checkpoint = spec["checkpoint"]
        set("checkpointing.checkpoint_dir", .string(facts.checkpointDirectory))
        if let optimizer = checkpoint?["save_optimizer"] { set("checkpointing.save_optimizer", optimizer) }
        if let kept = checkpoint?["keep_top_k"] { set("checkpointing.keep_top_k", kept) }
        if let every = checkpoint?["every"] { set("checkpointing.save_period", every.isNull ? Self.unbounded : every) }
        if !isOwnConfig || checkpoint?["metric"] != nil {
            set("checkpointing.metric_name", .string(ranking))
            let higher = ranking.hasSuffix("accuracy")
            set("checkpointing.higher_is_better", .bool(checkpoint?["mode"]?.string.map { $0 == "max" } ?? higher))
        }
        if !isOwnConfig {
            set("checkpointing.enabled", true)
            if checkpoint?["every"] == nil { set("checkpointing.save_period", Self.unbounded) }
        }
        if exports, base[dotted: "policy.dtensor_cfg._v2"]?.bool == true {
            // The only form of these checkpoints that NeMo RL's converter reads.
            set("checkpointing.model_save_format", "torch_save")
        }
        if let limit = facts.saveBy, base[dotted: "checkpointing.checkpoint_must_save_by"]?.string == nil {
            set("checkpointing.checkpoint_must_save_by", .string(limit))
        }
    }

    // MARK: Data

    private mutating func setData() {
        guard let train = spec["dataset"]?.string else { return }
        guard algorithm.trains else {
            set("data.dataset_name", Self.literal(train))
            // The loader of files reads these without asking whether they are there.
            set("data.file_format", "json")
            set("data.split", "train")
            if param("input_key") == nil { set("data.problem_key", "input") }
            if param("output_key") == nil { set("data.solution_key", "output") }
            for key in ["prompt_file", "system_prompt_file"] where base[dotted: "data.\(key)"] == nil { set("data.\(key)", .null) }
            return
        }
        let keys = datasetKeys
        switch layout {
        case .new:
            // What the configuration below says of its own dataset, such as a split, must not be left over.
            var block = keys
            if base[dotted: "data.train.split"] != nil { block["split"] = .null }
            block["data_path"] = Self.literal(train)
            set("data.train", .object(block))
            if base[dotted: "data.train.split_validation_size"] != nil { set("data.train.split_validation_size", 0) }
            block["data_path"] = spec["validation"]?.string.map(Self.literal)
            set("data.validation", hasValidation ? .object(block) : .null)
        case .old:
            for (key, value) in keys { set("data.\(key)", value) }
            set("data.train_data_path", Self.literal(train))
            set("data.val_data_path", spec["validation"]?.string.map(Self.literal) ?? .null)
            // The loader of this layout reads these without asking whether they are there.
            if algorithm == .sft {
                for (key, value) in Self.oldMessageKeys where keys["chat_key"] != nil { set("data.\(key)", value) }
            }
        }
    }

    private static let oldMessageKeys: [(String, JSONValue)] = [
        ("system_key", .null), ("system_prompt", .null), ("tool_key", "tools"), ("use_preserving_dataset", false),
    ]

    /// The class of dataset that reads Anneal's records, and the names of their fields.
    private var datasetKeys: JSONObject {
        switch algorithm {
        case .sft where !facts.datasetKeys.contains("input"): ["dataset_name": "openai_format", "chat_key": "messages"]
        case .dpo, .rm:
            [
                "dataset_name": "BinaryPreferenceDataset", "prompt_key": "prompt",
                "chosen_key": .string(facts.datasetKeys.contains("chosen") ? "chosen" : "chosen_response"),
                "rejected_key": .string(facts.datasetKeys.contains("rejected") ? "rejected" : "rejected_response"),
            ]
        default:
            [
                "dataset_name": "ResponseDataset", "input_key": param("input_key") ?? "input",
                "output_key": param("output_key") ?? "output",
            ]
        }
    }
}
