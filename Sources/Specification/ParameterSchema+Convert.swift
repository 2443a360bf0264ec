import JSON

extension ParameterSchema {
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
