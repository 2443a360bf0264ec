import JSON

/// How a model is asked for generations.
public struct GenerationSettings: Sendable {
    /// Which of OpenAI's two interfaces is spoken.
    public enum API: String, Sendable, CaseIterable {
        case chat
        case completions

        /// The path below the server's `/v1`.
        var path: String { self == .chat ? "/chat/completions" : "/completions" }
    }

    public var api: API
    public var model: String
    /// `nil` where the server's own limit holds.
    public var maxTokens: Int?
    /// 0 for the most likely answer.
    public var temperature: Double
    public var topP: Double?
    /// These three are no part of OpenAI's interface and are sent only where they are given.
    public var topK: Int?
    public var minP: Double?
    public var repetitionPenalty: Double?
    public var stop: [String]
    /// Whether answers come piece by piece.
    public var streams: Bool
    /// Further members of each request; they go before all others.
    public var extra: JSONObject

    public init(
        api: API = .chat, model: String, maxTokens: Int? = nil, temperature: Double = 0, topP: Double? = nil, topK: Int? = nil,
        minP: Double? = nil, repetitionPenalty: Double? = nil, stop: [String] = [], streams: Bool = false, extra: JSONObject = [:]
    ) {
        (self.api, self.model, self.maxTokens, self.temperature, self.topP) = (api, model, maxTokens, temperature, topP)
        (self.topK, self.minP, self.repetitionPenalty, self.stop) = (topK, minP, repetitionPenalty, stop)
        (self.streams, self.extra) = (streams, extra)
    }

    /// The request's members beside prompt and seed.
    public var json: JSONObject {
        var members: JSONObject = ["model": .string(model), "temperature": .double(temperature)]
        if let maxTokens { members["max_tokens"] = .int(Int64(maxTokens)) }
        if let topP { members["top_p"] = .double(topP) }
        if let topK { members["top_k"] = .int(Int64(topK)) }
        if let minP { members["min_p"] = .double(minP) }
        if let repetitionPenalty { members["repetition_penalty"] = .double(repetitionPenalty) }
        if !stop.isEmpty { members["stop"] = .array(stop.map { .string($0) }) }
        if streams {
            members["stream"] = true
            // Without this a stream does not tell its tokens.
            members["stream_options"] = ["include_usage": true]
        }
        for (key, value) in extra { members[key] = value }
        return members
    }
}

/// What a model is asked with.
public enum GenerationPrompt: Sendable, Equatable {
    case messages([JSONValue])
    case text(String)
}

/// Builds the bodies of requests; what is the same in all of them is written once.
public struct GenerationRequestBuilder: Sendable {
    private let start: [UInt8]

    public init(_ settings: GenerationSettings) {
        var bytes = JSONWriter().bytes(of: .object(settings.json))
        bytes.removeLast()
        start = bytes
    }

    /// The body of one request.
    public func body(_ prompt: GenerationPrompt, seed: Int) -> [UInt8] {
        var bytes = start
        let writer = JSONWriter()
        switch prompt {
        case .messages(let messages):
            bytes.append(contentsOf: ",\"messages\":".utf8)
            writer.append(.array(messages), to: &bytes)
        case .text(let text):
            bytes.append(contentsOf: ",\"prompt\":".utf8)
            JSONWriter.appendQuoted(text, to: &bytes)
        }
        bytes.append(contentsOf: ",\"seed\":\(seed)}".utf8)
        return bytes
    }
}
