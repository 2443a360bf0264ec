import JSON

/// The sizes of a decoder, as its config.json tells them in the words that Hugging Face's Llama, Qwen, Mistral and Gemma share.
struct ModelShape: Sendable, Equatable {
    var hidden: Int
    var intermediate: Int
    var layers: Int
    var vocabulary: Int
    /// Attention heads times the size of one.
    var queries: Int
    /// The same for keys, and for values.
    var keys: Int
    /// Experts of a layer; 1 without a mixture.
    var experts: Int
    /// Experts that a token goes through.
    var activeExperts: Int
    var sharesEmbeddings: Bool

    /// `nil` where the configuration lacks a size; a model of several parts is judged by its language model.
    init?(_ configuration: JSONValue) {
        let text = configuration["hidden_size"] == nil ? configuration["text_config"] ?? configuration : configuration
        guard let hidden = Self.size(text["hidden_size"]), let layers = Self.size(text["num_hidden_layers"]),
            let vocabulary = Self.size(text["vocab_size"]), let heads = Self.size(text["num_attention_heads"]),
            let intermediate = Self.size(text["moe_intermediate_size"]) ?? Self.size(text["intermediate_size"])
        else { return nil }
        let head = Self.size(text["head_dim"]) ?? hidden / heads
        (self.hidden, self.layers, self.vocabulary, self.intermediate) = (hidden, layers, vocabulary, intermediate)
        queries = heads * head
        keys = (Self.size(text["num_key_value_heads"]) ?? heads) * head
        experts = Self.size(text["num_local_experts"]) ?? Self.size(text["num_experts"]) ?? Self.size(text["n_routed_experts"]) ?? 1
        activeExperts = min(experts, Self.size(text["num_experts_per_tok"]) ?? 1)
        // transformers' own default is true.
        sharesEmbeddings = text["tie_word_embeddings"]?.bool ?? configuration["tie_word_embeddings"]?.bool ?? true
    }

    /// A count that arithmetic can do with.
    private static func size(_ value: JSONValue?) -> Int? { value?.int.flatMap { (1...1 << 30).contains($0) ? Int($0) : nil } }

    /// Parameters of one transformer block: attention, the gated feed-forward layer or layers, two norms.
    var blockParameters: Int {
        let attention = 2 * hidden * queries + 2 * hidden * keys
        let feedForward = 3 * hidden * intermediate * experts + (experts > 1 ? hidden * experts : 0)
        return attention + feedForward + 2 * hidden
    }

    /// Parameters of the embeddings, of input and output.
    var embeddingParameters: Int { vocabulary * hidden * (sharesEmbeddings ? 1 : 2) }

    /// All parameters.
    var parameters: Int { layers * blockParameters + embeddingParameters + hidden }

    /// Parameters of low-rank adapters beside all linear layers of the blocks; at each `rank × (inputs + outputs)`.
    func adapterParameters(rank: Int) -> Int {
        let attention = 2 * (hidden + queries) + 2 * (hidden + keys)
        return layers * rank * (attention + 3 * (hidden + intermediate) * experts)
    }
}
