import JSON

// The keys of `kind: convert`: models that are made, averaged, merged, brought into another form, or converted by a program of its own.
extension ParameterSchema {
    static let convertTable: [ParameterSchema] =
        [
            ParameterSchema(
                "engine", .choice(ConvertEngine.allCases.map(\.rawValue)), default: .string(ConvertEngine.transformers.rawValue),
                "What the conversion is for: models of transformers, formats that the program in 'command' reads or writes, or a checkpoint of nemo-rl."
            ),
            ParameterSchema("create", .object(createTable), "Makes a model with random weights."),
            ParameterSchema("model", .weights, "The model to convert."),
            ParameterSchema("average", .object(averageTable), "Makes a model of the mean of several models' weights."),
        ]
        + creationTable + changesTable + commandEngineTable + checkoutTable

    /// What stands with `create` alone.
    private static let creationTable: [ParameterSchema] = [
        ParameterSchema("tokenizer", .object(tokenizerTable), "Makes the tokenizer of a model that is created."),
        ParameterSchema(
            "chat_template", .text(bytesMax: SpecLimits.stringBytesMax), default: "chatml",
            "The name of a chat template (chatml), or one in Jinja, of a model that is created."),
        ParameterSchema("seed", .integer(0...4_294_967_295), default: 42, "The seed of the weights of a model that is created."),
    ]

    /// What becomes of a `model` or an `average`, in this order.
    private static let changesTable: [ParameterSchema] = [
        ParameterSchema("merge_lora", .object(mergeTable), "Adds the adapters of a LoRA training to the weights."),
        ParameterSchema("prune", .object(pruneTable), "Takes parts out of the model."),
        ParameterSchema("dtype", .choice(["float32", "bfloat16", "float16"]), "The type of the saved weights; without it as they were."),
        ParameterSchema(
            "max_shard_size", .memory, "The most bytes of weights in one file; without it 5GB where weights are written anew.",
            unit: "bytes"),
        ParameterSchema("files_from", .weights, "The model from which files are taken that this one lacks, such as its chat template."),
        ParameterSchema(
            "export", .choice(["check"]),
            "Fails unless the result is a whole export: weights, tokenizer, chat template, generation config, processor files."),
    ]

    /// What stands with the engines that run a program.
    private static let commandEngineTable: [ParameterSchema] = [
        ParameterSchema(
            "command", .list(.argument, count: 1...SpecLimits.listCountMax),
            "The program of another engine and its arguments; {model} and {output} in them stand for the folders."),
        ParameterSchema(
            "to", .choice(ConvertEngine.layouts), "The layout that the program writes; without it that of the engine."),
    ]

    /// What stands with the engine nemo-rl.
    private static let checkoutTable: [ParameterSchema] = [
        ParameterSchema("root", .path(.directory, nil), "The folder of the NeMo RL checkout, whose converter runs there."),
        ParameterSchema(
            "launcher", .list(.argument, count: 1...SpecLimits.mapCountMax),
            default: .array(NemoRLRun.defaultLauncher.map(JSONValue.string)), "What starts a Python program in the checkout."),
    ]

    private static let averageTable: [ParameterSchema] = [
        ParameterSchema(
            required: "checkpoints", .either([.text(bytesMax: 1000), .list(.weights, count: 2...SpecLimits.averagedModelsMax)]),
            "The models, or '${job.checkpoints}' with 'last' or 'best' for those of a training."),
        ParameterSchema(
            "last", .integer(2...SpecLimits.averagedModelsMax), "So many of the training's last checkpoints.", unit: "checkpoints"),
        ParameterSchema(
            "best", .integer(2...SpecLimits.averagedModelsMax), "So many of the training's best checkpoints, by its 'checkpoint.metric'.",
            unit: "checkpoints"),
        ParameterSchema(
            "weights", .list(.number(.above(0, upTo: 1e6)), count: 2...SpecLimits.averagedModelsMax),
            "What each listed model counts, relative to the others; without it all count the same."),
    ]

    private static let mergeTable: [ParameterSchema] = [
        ParameterSchema(
            required: "adapter", .weights,
            "The adapter, in PEFT's format: a folder with adapter_config.json, or a checkpoint with such a folder 'adapter' in it.")
    ]

    private static let pruneTable: [ParameterSchema] = [
        ParameterSchema(
            required: "layers", .list(.integer(0...9999), count: 1...SpecLimits.listCountMax),
            "The layers to leave out, counted from 0; the others move up.")
    ]

    private static let createTable: [ParameterSchema] = [
        ParameterSchema(required: "architecture", .choice(["llama", "qwen2", "qwen3"]), "The family of the model."),
        ParameterSchema(required: "hidden_size", .integer(1...1_048_576), "The width of the model."),
        ParameterSchema(required: "intermediate_size", .integer(1...4_194_304), "The width of the feed-forward layers."),
        ParameterSchema(required: "num_hidden_layers", .integer(1...10_000), "Layers.", unit: "layers"),
        ParameterSchema(required: "num_attention_heads", .integer(1...65_536), "Attention heads.", unit: "heads"),
        ParameterSchema(
            "num_key_value_heads", .integer(1...65_536), "Key and value heads; without it as many as attention heads.", unit: "heads"),
        ParameterSchema("max_position_embeddings", .integer(2...16_777_216), default: 512, "The longest sequence.", unit: "tokens"),
        ParameterSchema("tie_word_embeddings", .boolean, default: true, "Shares the weights of input and output embeddings."),
        ParameterSchema("dtype", .choice(["float32", "bfloat16", "float16"]), default: "float32", "The type of the saved weights."),
    ]

    private static let tokenizerTable: [ParameterSchema] = [
        ParameterSchema(required: "type", .choice(["byte_bpe"]), "Byte-level BPE."),
        ParameterSchema(required: "train_on", .dataset, "The data whose text the tokenizer learns."),
        ParameterSchema(
            "vocab_size", .integer(260...1_048_576), default: 512, "Tokens; 256 bytes and the special tokens are among them.",
            unit: "tokens"),
        ParameterSchema("split_digits", .boolean, default: true, "Makes each digit a token of its own."),
    ]
}
