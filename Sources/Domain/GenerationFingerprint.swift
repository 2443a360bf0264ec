import JSON

/// What two passes must have in common for a record of one to stand in for the same record of the other.
///
/// It leaves out what changes how many records are asked for and not what each is asked with: seeds, samples, chunks and limit, and
/// everything that only says how requests are sent. The seed itself is compared beside it.
public enum GenerationFingerprint {
    private static let taken = [
        "api", "prompt", "max_tokens", "top_k", "min_p", "repetition_penalty", "stop", "extra", "seed_by", "parse_reasoning",
        "reasoning_end",
    ]
    private static let serverTaken = ["engine", "args", "env", "model"]

    /// The bytes to be hashed.
    ///
    /// - Parameters:
    ///   - spec: the body of the job; references are resolved.
    ///   - dataset: the hash of the data's content.
    ///   - model: the hash of the model, or its name; empty where neither is known.
    public static func form(spec: JSONObject, dataset: String, model: String) -> [UInt8] {
        let server = spec["server"]?.object ?? [:]
        var members = spec.filter { taken.contains($0.key) && !$0.value.isNull }
        let sampling = GenerationSampling(spec: spec)
        members["temperature"] = .double(sampling.temperature)
        if let topP = sampling.topP { members["top_p"] = .double(topP) }
        members["server"] = .object(server.filter { serverTaken.contains($0.key) && !$0.value.isNull })
        // Where nothing else tells which model answers, the address must.
        if model.isEmpty, server["model"] == nil { members["url"] = server["url"] ?? .null }
        let form: JSONValue = ["dataset": .string(dataset), "model": .string(model), "spec": .object(members)]
        return JSONWriter(sortsKeys: true).bytes(of: form)
    }
}

/// How a job of kind `generate` samples: as NeMo-Skills does, temperature 0.7 with seeds and greedy without. What the spec says goes first.
public struct GenerationSampling: Sendable, Equatable {
    public var temperature: Double
    public var topP: Double?

    public init(spec: JSONObject) {
        let hasSeeds = spec["samples"].map { !$0.isNull } ?? false || spec["seeds"].map { !$0.isNull } ?? false
        temperature = spec["temperature"]?.double ?? (hasSeeds ? 0.7 : 0)
        topP = spec["top_p"]?.double ?? (temperature > 0 ? 0.95 : nil)
    }
}
