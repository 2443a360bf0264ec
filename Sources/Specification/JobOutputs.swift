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
            return prepared(body)
        case .train where body["engine"]?.string == NemoRLEngine.name:
            return nemoRL(body)
        case .train:
            let models = ["checkpoint.best", "checkpoint.last", "model"].map { (name: $0, type: ArtifactType?.some(.checkpoint)) }
            let samples: [(name: String, type: ArtifactType?)] = body["method"]?.string == "grpo" ? [("rollouts", .file)] : []
            return models + TrainingMethod.rewardOutputs(body) + samples
        case .convert:
            return [("model", .checkpoint)]
        case .evaluate:
            let evaluations = ["evaluation"] + (body["on"] == nil ? [] : ["best"])
            let grades = (body["benchmarks"]?.array ?? []).contains { $0["generations"] != nil } && body["on"] == nil
            return evaluations.map { ($0, .evaluation) } + (grades ? [("graded", .dataset)] : [])
        case .generate:
            return GenerationSeeds.outputs(body)
        case .serve, .search:
            return []
        }
    }

    private static func nemoRL(_ body: JSONObject) -> [(name: String, type: ArtifactType?)] {
        if body["method"]?.string == NemoRLAlgorithm.eval.method { return [("evaluation_data", .file)] }
        let model = ["none", "later"].contains(body["export"]?.string) ? [] : ["model"]
        return (["checkpoint.best", "checkpoint.last"] + model).map { ($0, .checkpoint) }
    }

    /// The datasets of a prepare job, the plans of `pack`, and the reports of other steps.
    private static func prepared(_ body: JSONObject) -> [(name: String, type: ArtifactType?)] {
        let steps = body["steps"]?.array ?? []
        var datasets = ["dataset"]
        if let split = steps.lazy.compactMap({ $0["split"] }).first {
            datasets = ["train", "validation"] + (split["test"] == nil ? [] : ["test"])
        }
        var files: [String] = []
        if steps.contains(where: { $0["pack"] != nil }) {
            files += datasets == ["dataset"] ? ["plan"] : datasets.map { "plan." + $0 }
        }
        for (step, name) in [("decontaminate", "decontamination"), ("extract_problems", "dropped")] {
            let positions = steps.indices.filter { steps[$0].object?[step] != nil }
            // The position tells several of one kind apart.
            files += positions.map { positions.count == 1 ? name : "\(name)_\($0 + 1)" }
        }
        if body["on_bad_record"]?.string == "drop" { files.append("bad_records") }
        return datasets.map { ($0, .dataset) } + files.map { ($0, .file) }
    }
}
