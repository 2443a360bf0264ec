import JSON

extension ParameterSchema {
    /// Settings of methods whose samples are known before the run: packing, batches by tokens, a token budget and what a stage takes over.
    static let batching: [ParameterSchema] = [
        ParameterSchema(
            "packing", .nullable(.object(packingTable)), default: .null,
            "Puts several samples, or pairs, into one training sequence, kept apart by attention; batch sizes then count packs.",
            source: nemo("policy.sequence_packing.enabled")),
        ParameterSchema(
            "dynamic_batching", .nullable(.object(dynamicTable)), default: .null,
            "Forms the micro-batches of a step by length within a budget of tokens, in place of micro_batch_size.",
            source: nemo("policy.dynamic_batching.enabled")),
        ParameterSchema(
            "max_tokens", .nullable(.integer(1...SpecLimits.tokensMax)), default: .null,
            "Ends with the step that reaches so many tokens with loss, if that is earlier.", unit: "tokens"),
        ParameterSchema(
            "optimizer_state", .choice(["fresh", "keep"]), default: "fresh",
            "'keep' goes on with the optimizer's moments in the checkpoint that the job starts from."),
        ParameterSchema(
            "schedule_state", .choice(["restart", "continue"]), default: "restart",
            "'continue' goes on with the learning rate schedule at the step of the checkpoint that the job starts from."),
    ]

    private static let packingTable: [ParameterSchema] = [
        ParameterSchema("plan", .path(.file, .file), "The plan of a prepare job's step 'pack', for this dataset and this tokenizer."),
        ParameterSchema(
            "online",
            .choice(["concatenative", "first_fit", "first_fit_decreasing", "first_fit_shuffle", "modified_first_fit_decreasing"]),
            "How the trainer fills packs itself."),
        ParameterSchema(
            "capacity", .integer(1...16_777_216), "Tokens of a pack, with 'online'; without it max_length, and of pairs twice that.",
            unit: "tokens"),
    ]

    private static let dynamicTable: [ParameterSchema] = [
        ParameterSchema(
            required: "tokens", .integer(1...1_073_741_824), "Tokens of a micro-batch on one GPU at most, padding included.", unit: "tokens"
        ),
        ParameterSchema(
            "round", .integer(1...65_536), default: 64, "Lengths are rounded up to a multiple of so many tokens.", unit: "tokens",
            source: nemo("policy.dynamic_batching.sequence_length_round")),
    ]
}
