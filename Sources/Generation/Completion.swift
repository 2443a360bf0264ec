import JSON

/// How a model is asked.
public struct SamplingSettings: Sendable, Equatable {
    public var maxTokens: Int
    /// 0 for the most likely answer.
    public var temperature: Double
    /// `nil` where the server's default holds.
    public var topP: Double?
    public var stop: [String]

    public init(maxTokens: Int, temperature: Double, topP: Double? = nil, stop: [String] = []) {
        self.maxTokens = maxTokens
        self.temperature = temperature
        self.topP = topP
        self.stop = stop
    }

    /// The settings under the names of OpenAI's chat completions.
    public var json: JSONObject {
        var members: JSONObject = ["max_tokens": .int(Int64(maxTokens)), "temperature": .double(temperature)]
        if let topP { members["top_p"] = .double(topP) }
        if !stop.isEmpty { members["stop"] = .array(stop.map { .string($0) }) }
        return members
    }
}

/// A request for one chat completion.
public struct CompletionRequest: Sendable, Equatable {
    public var model: String
    public var messages: [JSONValue]
    public var settings: SamplingSettings
    public var seed: Int
    /// Further members of the request, for what an engine knows beyond OpenAI's.
    public var extensions: JSONObject

    public init(model: String, messages: [JSONValue], settings: SamplingSettings, seed: Int, extensions: JSONObject = [:]) {
        self.model = model
        self.messages = messages
        self.settings = settings
        self.seed = seed
        self.extensions = extensions
    }

    /// The request's body.
    public var json: JSONValue {
        var members: JSONObject = ["model": .string(model), "messages": .array(messages)]
        for (key, value) in settings.json { members[key] = value }
        members["seed"] = .int(Int64(seed))
        for (key, value) in extensions { members[key] = value }
        return .object(members)
    }
}

/// One answer of a model.
public struct Completion: Sendable, Equatable {
    /// Empty where the server gave none, as when the reasoning took all tokens.
    public var content: String
    /// The reasoning, where the server parts it from the answer.
    public var reasoning: String?
    /// `stop`, `length` and others; empty where the server did not tell.
    public var finishReason: String
    public var promptTokens: Int?
    public var completionTokens: Int?
    /// Unix time in milliseconds.
    public var startedAt: Int64
    public var endedAt: Int64

    public init(
        content: String, reasoning: String? = nil, finishReason: String, promptTokens: Int? = nil, completionTokens: Int? = nil,
        startedAt: Int64,
        endedAt: Int64
    ) {
        self.content = content
        self.reasoning = reasoning
        self.finishReason = finishReason
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.startedAt = startedAt
        self.endedAt = endedAt
    }
}
