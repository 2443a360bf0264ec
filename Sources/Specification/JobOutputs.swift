import Domain
import JSON

/// The outputs that a job of a kind registers when it succeeds.
enum JobOutputs {
    /// Names and types in a fixed order; a type is `nil` where only the run will tell.
    static func declared(kind: JobKind, body: JSONObject) -> [(name: String, type: ArtifactType?)] {
        switch kind {
        case .command:
            return (body["outputs"]?.array ?? []).compactMap(\.string).map { ($0, nil) }
        case .prepare:
            guard let split = splitStep(body) else { return [("dataset", .dataset)] }
            return (["train", "validation"] + (split["test"] == nil ? [] : ["test"])).map { ($0, .dataset) }
        case .train:
            return ["checkpoint.best", "checkpoint.last", "model"].map { ($0, .checkpoint) }
        case .convert:
            return [("model", .checkpoint)]
        case .evaluate:
            return [("evaluation", .evaluation)]
        case .generate:
            return GenerationSeeds.outputs(body)
        case .serve, .search:
            return []
        }
    }

    private static func splitStep(_ body: JSONObject) -> JSONValue? {
        for step in body["steps"]?.array ?? [] { if let split = step["split"] { return split } }
        return nil
    }
}
