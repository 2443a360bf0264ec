import JSON

extension ParameterSchema {
    static let trainTable: [ParameterSchema] = [
        ParameterSchema("engine", .choice(["trl"], later: ["nemo-rl"]), default: "trl", "The program that trains."),
        ParameterSchema(
            required: "method", .choice(["sft"], later: ["dpo", "ipo", "rpo", "grpo", "gspo", "dapo", "reward", "distill"]),
            "How the model learns."),
        ParameterSchema(required: "model", .model, "The model to start from."),
        ParameterSchema(required: "dataset", .dataset, "The training data."),
        ParameterSchema("validation", .dataset, "The validation data."),
        ParameterSchema("params", .object(sftParameters), default: [:], "The training's settings."),
        ParameterSchema("checkpoint", .object(checkpointTable), default: [:], "When checkpoints are saved and which are kept."),
    ]

    static let sftParameters: [ParameterSchema] = [
        ParameterSchema("epochs", .integer(1...1_000_000), default: 1, "Passes over the training data."),
        ParameterSchema(
            "max_steps", .nullable(.integer(1...1_000_000_000)), default: .null, "Ends after so many optimizer steps, if that is earlier."),
        ParameterSchema("global_batch_size", .integer(1...1_048_576), default: 32, "Samples of one optimizer step, over all GPUs."),
        ParameterSchema("micro_batch_size", .integer(1...65_536), default: 1, "Samples of one forward pass on one GPU."),
        ParameterSchema("max_length", .integer(1...16_777_216), default: 1024, "Tokens of a sample."),
        ParameterSchema("learning_rate", .number(.above(0, upTo: 10)), default: 5e-6, "The highest learning rate."),
        ParameterSchema("weight_decay", .number(.atLeast(0, upTo: 10)), default: 0.1, "AdamW's weight decay."),
        ParameterSchema("beta1", .number(.atLeast(0, below: 1)), default: 0.9, "AdamW's first moment decay."),
        ParameterSchema("beta2", .number(.atLeast(0, below: 1)), default: 0.98, "AdamW's second moment decay."),
        ParameterSchema("epsilon", .number(.above(0, upTo: 1)), default: 1e-5, "AdamW's epsilon."),
        ParameterSchema("max_grad_norm", .number(.above(0)), default: 1.0, "The norm that gradients are clipped to."),
        ParameterSchema(
            "schedule", .choice(["constant", "linear", "cosine"]), default: "constant", "The learning rate after the warm-up."),
        ParameterSchema("warmup_steps", .integer(0...1_000_000_000), default: 0, "Steps over which the learning rate rises from zero."),
        ParameterSchema("min_learning_rate", .number(.atLeast(0, upTo: 10)), default: 0, "Where the schedule ends."),
        ParameterSchema(
            "validate_every", .integer(0...1_000_000_000), default: 0,
            "Validates every so many steps; 0 only at the start, at checkpoints and at the end."),
        ParameterSchema("validate_at_start", .boolean, "Validates before the first step; without it true where 'validation' is given."),
        ParameterSchema("validation_batches", .integer(0...1_000_000_000), default: 0, "Batches of one validation; 0 takes all."),
        ParameterSchema("validation_batch_size", .integer(1...1_048_576), default: 32, "Samples of one validation batch."),
        ParameterSchema("shuffle", .boolean, default: true, "Draws a new order of the data in each epoch."),
        ParameterSchema("seed", .integer(0...4_294_967_295), default: 42, "The seed of everything random."),
        ParameterSchema("precision", .choice(["auto", "fp32", "bf16"]), default: "auto", "bf16 where the device has it, else fp32."),
        ParameterSchema("gradient_checkpointing", .boolean, default: false, "Saves memory by computing activations twice."),
        ParameterSchema("only_final_turn", .boolean, default: false, "Learns the last assistant message alone instead of all."),
        ParameterSchema("log_every", .integer(1...1_000_000_000), default: 1, "Writes metrics every so many steps."),
        ParameterSchema("lora", .nullable(.object(loraTable)), default: .null, "Trains low-rank adapters instead of all weights."),
        ParameterSchema(
            "chat_template", .nullable(.text(bytesMax: SpecLimits.stringBytesMax)), default: .null,
            "A Jinja chat template; null takes that of the model."),
    ]

    private static let loraTable: [ParameterSchema] = [
        ParameterSchema("rank", .integer(1...65_536), default: 8, "The adapters' rank."),
        ParameterSchema("alpha", .number(.above(0, upTo: 1_000_000)), default: 32, "The adapters' scale is alpha / rank."),
        ParameterSchema("dropout", .number(.atLeast(0, below: 1)), default: 0, "Dropout before the adapters."),
        ParameterSchema(
            "target_modules", .either([.choice(["all-linear"]), .list(.text(bytesMax: 1000), count: 1...SpecLimits.mapCountMax)]),
            default: "all-linear", "The layers that get adapters."),
    ]

    private static let checkpointTable: [ParameterSchema] = [
        ParameterSchema(
            "every", .nullable(.integer(1...1_000_000_000)), default: .null, "Saves every so many steps; the last step is always saved."),
        ParameterSchema(
            "keep_top_k", .nullable(.integer(1...100_000)), default: 3, "Checkpoints to keep, the best by 'metric'; null keeps all."),
        ParameterSchema("metric", .choice(["val_loss", "train_loss"]), default: "val_loss", "What ranks the checkpoints."),
        ParameterSchema("mode", .choice(["min", "max"]), default: "min", "Whether a small or a large metric is good."),
        ParameterSchema("save_optimizer", .boolean, default: true, "Saves what an exact resumption needs."),
    ]

    static let convertTable: [ParameterSchema] = [
        ParameterSchema(required: "create", .object(createTable), "Makes a model with random weights."),
        ParameterSchema(required: "tokenizer", .object(tokenizerTable), "Makes its tokenizer."),
        ParameterSchema(
            "chat_template", .text(bytesMax: SpecLimits.stringBytesMax), default: "chatml",
            "The name of a chat template (chatml), or one in Jinja."),
        ParameterSchema("seed", .integer(0...4_294_967_295), default: 42, "The seed of the weights."),
    ]

    private static let createTable: [ParameterSchema] = [
        ParameterSchema(required: "architecture", .choice(["llama", "qwen2", "qwen3"]), "The family of the model."),
        ParameterSchema(required: "hidden_size", .integer(1...1_048_576), "The width of the model."),
        ParameterSchema(required: "intermediate_size", .integer(1...4_194_304), "The width of the feed-forward layers."),
        ParameterSchema(required: "num_hidden_layers", .integer(1...10_000), "Layers."),
        ParameterSchema(required: "num_attention_heads", .integer(1...65_536), "Attention heads."),
        ParameterSchema("num_key_value_heads", .integer(1...65_536), "Key and value heads; without it as many as attention heads."),
        ParameterSchema("max_position_embeddings", .integer(1...16_777_216), default: 512, "The longest sequence."),
        ParameterSchema("tie_word_embeddings", .boolean, default: true, "Shares the weights of input and output embeddings."),
        ParameterSchema("dtype", .choice(["float32", "bfloat16", "float16"]), default: "float32", "The type of the saved weights."),
    ]

    private static let tokenizerTable: [ParameterSchema] = [
        ParameterSchema(required: "type", .choice(["byte_bpe"]), "Byte-level BPE."),
        ParameterSchema(required: "train_on", .dataset, "The data whose text the tokenizer learns."),
        ParameterSchema("vocab_size", .integer(260...1_048_576), default: 512, "Tokens; 256 bytes and the special tokens are among them."),
        ParameterSchema("split_digits", .boolean, default: true, "Makes each digit a token of its own."),
    ]
}
