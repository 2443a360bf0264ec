import JSON

extension ParameterSchema {
    /// The keys of a train job; where the method is not known, those of all methods.
    static func trainTable(method name: String?) -> [ParameterSchema] { name.flatMap { trainTables[$0] } ?? trainTableOfAll }

    private static let trainTables = Dictionary(uniqueKeysWithValues: TrainingMethod.all.map { ($0.name, makeTrainTable([$0])) })
    private static let trainTableOfAll = makeTrainTable(TrainingMethod.all)
    private static let parameterTables = Dictionary(uniqueKeysWithValues: TrainingMethod.all.map { ($0.name, $0.allParameters) })

    private static func makeTrainTable(_ methods: [TrainingMethod]) -> [ParameterSchema] {
        var metrics: [String] = []
        for metric in methods.flatMap(\.metrics) where !metrics.contains(metric) { metrics.append(metric) }
        return trainKeys + methods.reduce([]) { merged($0, under: $1.keys) } + [
            ParameterSchema(
                "params", .object(methods.reduce([]) { merged($0, under: $1.allParameters) }), default: [:], "The training's settings."),
            ParameterSchema(
                "checkpoint", .object(checkpointTable(metrics: metrics)), default: [:], "When checkpoints are saved and which are kept."),
        ]
    }

    /// The keys of `params` of a training method; empty for a method that this build does not run.
    public static func parameters(method name: String) -> [ParameterSchema] { parameterTables[name] ?? [] }

    /// The training methods that know a key, where `table` is that of another method or of its `params`; none elsewhere.
    static func methods(knowing key: String, beside table: [ParameterSchema]) -> [String] {
        let isParameters = table.contains { $0.name == "global_batch_size" }
        guard isParameters || table.contains(where: { $0.name == "method" }) else { return [] }
        return methods.filter { method in
            (isParameters ? parameters(method: method) : trainTable(method: method)).contains { $0.name == key }
        }
    }

    /// A table with further keys; a further key of the same name takes the place of the table's own.
    static func merged(_ table: [ParameterSchema], under further: [ParameterSchema]) -> [ParameterSchema] {
        let replaced = table.map { key in further.first { $0.name == key.name } ?? key }
        return replaced + further.filter { key in !table.contains { $0.name == key.name } }
    }

    private static let trainKeys: [ParameterSchema] = [
        ParameterSchema("engine", .choice(["trl", NemoRLEngine.name]), default: "trl", "The program that trains."),
        ParameterSchema(
            required: "method", .choice(TrainingMethod.all.map(\.name)), "How the model learns."),
        ParameterSchema(required: "model", .model, "The model to start from."),
        ParameterSchema(required: "dataset", .dataset, "The training data."),
        ParameterSchema("validation", .dataset, "The validation data."),
        ParameterSchema(
            "args",
            .map(
                keys: .flag,
                .nullable(.either([.scalar, .list(.scalar, count: 0...SpecLimits.mapCountMax), .map(keys: .flag, .nullable(.scalar))]))),
            "Further arguments of TRL's configuration, passed through. Names and types are checked when the job is submitted, against the "
                + "version that is installed, and once more when the trainer starts; without an answer from the trainer a submission is "
                + "accepted with a warning. What Anneal sets itself is refused with the key to use."),
    ]

    /// A key of a configuration of NeMo RL that a default is taken from; most are those of its SFT.
    static func nemo(_ key: String, of configuration: String = "sft") -> String {
        "NeMo RL, examples/configs/\(configuration).yaml: \(key)"
    }

    /// The settings that every method has; a method may give one another default.
    static let commonParameters: [ParameterSchema] = [
        ParameterSchema(
            "epochs", .integer(1...1_000_000), default: 1, "Passes over the training data.", source: nemo("sft.max_num_epochs")),
        ParameterSchema(
            "max_steps", .nullable(.integer(1...1_000_000_000)), default: .null, "Ends after so many optimizer steps, if that is earlier.",
            unit: "steps"),
        ParameterSchema(
            "global_batch_size", .integer(1...1_048_576), default: 32, "Samples of one optimizer step, over all GPUs.", unit: "samples",
            source: nemo("policy.train_global_batch_size")),
        ParameterSchema(
            "micro_batch_size", .integer(1...65_536), default: 1, "Samples of one forward pass on one GPU.", unit: "samples",
            source: nemo("policy.train_micro_batch_size")),
        ParameterSchema(
            "max_length", .integer(2...16_777_216), default: 1024, "Tokens of a sample.", unit: "tokens",
            source: nemo("policy.max_total_sequence_length")),
        ParameterSchema(
            "learning_rate", .number(.above(0, upTo: 10)), default: 5e-6, "The highest learning rate.",
            source: nemo("policy.optimizer.kwargs.lr")),
        ParameterSchema(
            "weight_decay", .number(.atLeast(0, upTo: 10)), default: 0.1, "AdamW's weight decay.",
            source: nemo("policy.optimizer.kwargs.weight_decay")),
        ParameterSchema(
            "beta1", .number(.atLeast(0, below: 1)), default: 0.9, "AdamW's first moment decay.",
            source: nemo("policy.optimizer.kwargs.betas")),
        ParameterSchema(
            "beta2", .number(.atLeast(0, below: 1)), default: 0.98, "AdamW's second moment decay.",
            source: nemo("policy.optimizer.kwargs.betas")),
        ParameterSchema(
            "epsilon", .number(.above(0, upTo: 1)), default: 1e-5, "AdamW's epsilon.", source: nemo("policy.optimizer.kwargs.eps")),
        ParameterSchema(
            "max_grad_norm", .number(.above(0)), default: 1.0, "The norm that gradients are clipped to.",
            source: nemo("policy.max_grad_norm")),
        ParameterSchema(
            "schedule", .choice(["constant", "linear", "cosine"]), default: "constant", "The learning rate after the warm-up.",
            source: nemo("policy.scheduler")),
        ParameterSchema(
            "warmup_steps", .integer(0...1_000_000_000), default: 0, "Steps over which the learning rate rises from zero.", unit: "steps"),
        ParameterSchema("min_learning_rate", .number(.atLeast(0, upTo: 10)), default: 0, "Where the schedule ends."),
        ParameterSchema(
            "validate_every", .integer(0...1_000_000_000), default: 0,
            "Validates every so many steps; 0 only at the start, at checkpoints and at the end.", unit: "steps"),
        ParameterSchema("validate_at_start", .boolean, "Validates before the first step; without it true where 'validation' is given."),
        ParameterSchema(
            "validation_batches", .integer(0...1_000_000_000), default: 0, "Batches of one validation; 0 takes all.", unit: "batches"),
        ParameterSchema(
            "validation_batch_size", .integer(1...1_048_576), default: 32, "Samples of one validation batch.", unit: "samples",
            source: nemo("sft.val_global_batch_size")),
        ParameterSchema("shuffle", .boolean, default: true, "Draws a new order of the data in each epoch.", source: nemo("data.shuffle")),
        ParameterSchema("seed", .integer(0...4_294_967_295), default: 42, "The seed of everything random.", source: nemo("sft.seed")),
        ParameterSchema("precision", .choice(["auto", "fp32", "bf16"]), default: "auto", "bf16 where the device has it, else fp32."),
        ParameterSchema(
            "gradient_checkpointing", .boolean, default: false,
            "Activation checkpointing: saves memory by computing activations twice, sharded or not.",
            source: nemo("policy.dtensor_cfg.activation_checkpointing")),
        ParameterSchema(
            "parallel", .choice(["auto", "none", "ddp", "fsdp"]), default: "auto",
            "How GPUs share the work: a whole copy on each (ddp) or a part (fsdp); auto shards what would fill more than half of a GPU."
        ),
        ParameterSchema("fsdp", .object(shardingTable), default: [:], "How fsdp shards."),
        ParameterSchema(
            "optimizer", .choice(["auto", "adamw", "adamw_fused", "adamw_8bit"]), default: "auto",
            "AdamW; auto takes the fused kernels where there is a GPU, with the same steps but for rounding; adamw_8bit is bitsandbytes'."),
        ParameterSchema("log_every", .integer(1...1_000_000_000), default: 1, "Writes metrics every so many steps.", unit: "steps"),
        ParameterSchema(
            "lora", .nullable(.object(loraTable)), default: .null, "Trains low-rank adapters instead of all weights.",
            source: nemo("policy.dtensor_cfg.lora_cfg.enabled")),
        ParameterSchema(
            "chat_template", .nullable(.text(bytesMax: SpecLimits.stringBytesMax)), default: .null,
            "A Jinja chat template; null takes that of the model."),
    ]

    private static let shardingTable: [ParameterSchema] = [
        ParameterSchema(
            "cpu_offload", .boolean, default: false,
            "Keeps weights, gradients and optimizer in main memory and steps there: slow, for models that fit nowhere else.",
            source: nemo("policy.dtensor_cfg.cpu_offload")),
        ParameterSchema(
            "reshard_after_forward", .boolean, default: true,
            "Lets gathered weights go after the forward pass; false takes more memory and less traffic."),
    ]

    private static let loraTable: [ParameterSchema] = [
        ParameterSchema("rank", .integer(1...65_536), default: 8, "The adapters' rank.", source: nemo("policy.dtensor_cfg.lora_cfg.dim")),
        ParameterSchema(
            "alpha", .number(.above(0, upTo: 1_000_000)), default: 32, "The adapters' scale is alpha / rank.",
            source: nemo("policy.dtensor_cfg.lora_cfg.alpha")),
        ParameterSchema(
            "dropout", .number(.atLeast(0, below: 1)), default: 0, "Dropout before the adapters.",
            source: nemo("policy.dtensor_cfg.lora_cfg.dropout")),
        ParameterSchema(
            "target_modules", .either([.choice(["all-linear"]), .list(.text(bytesMax: 1000), count: 1...SpecLimits.mapCountMax)]),
            default: "all-linear", "The layers that get adapters.", source: nemo("policy.dtensor_cfg.lora_cfg.match_all_linear")),
    ]

    private static func checkpointTable(metrics: [String]) -> [ParameterSchema] {
        [
            ParameterSchema(
                "every", .nullable(.integer(1...1_000_000_000)), default: .null,
                "Saves every so many steps; the last step is always saved.",
                unit: "steps"),
            ParameterSchema(
                "keep_top_k", .nullable(.integer(1...100_000)), default: 3, "Checkpoints to keep, the best by 'metric'; null keeps all.",
                source: nemo("checkpointing.keep_top_k")),
            ParameterSchema("metric", .choice(metrics), default: .string(metrics[0]), "What ranks the checkpoints."),
            ParameterSchema(
                "mode", .choice(["min", "max"]),
                "Whether a small or a large metric is good; without it min for losses and divergences, max for others."),
            ParameterSchema("save_optimizer", .boolean, default: true, "Saves what an exact resumption needs."),
        ]
    }
}
