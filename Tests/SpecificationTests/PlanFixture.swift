import Domain
import JSON
import Testing

@testable import Specification

/// A small world for specs: which files, folders and artifacts exist.
struct PlanFixture {
    var files: Set<String> = [
        "/srv/data.jsonl", "/srv/more.jsonl", "/srv/models/base/config.json", "/srv/old/evaluation.json", "/srv/broken/readme.txt",
    ]
    var folders: Set<String> = ["/srv", "/srv/models", "/srv/models/base", "/srv/old", "/srv/broken"]
    var artifacts: Set<String> = ["arithmetic", "arithmetic@2", "ds_1", "checkpoint:ckpt_1", "eval_1"]
    var baseDirectory: String? = "/srv"

    var context: PlanContext {
        let (files, folders, artifacts) = (files, folders, artifacts)
        return PlanContext(
            baseDirectory: baseDirectory,
            pathExists: { path in files.contains(path) ? .file : folders.contains(path) ? .directory : nil },
            artifactExists: { artifacts.contains($0) })
    }

    func plan(_ text: String, overrides: [String] = []) throws -> ExperimentPlan {
        try SpecDocument.parse(Array(text.utf8)).get().setting(overrides: overrides).flatMap {
            ExperimentPlan.make(from: $0, context: context)
        }.get()
    }

    /// All errors of a document; empty where it is right.
    func errors(_ text: String, overrides: [String] = []) -> [SpecError] {
        let result = SpecDocument.parse(Array(text.utf8)).flatMap { $0.setting(overrides: overrides) }
            .flatMap { ExperimentPlan.make(from: $0, context: context) }
        switch result {
        case .success: return []
        case .failure(let errors): return errors.errors
        }
    }

    /// The errors as lines such as `/jobs/a unknown_key unknown key 'x'`.
    func problems(_ text: String, overrides: [String] = []) -> [String] {
        errors(text, overrides: overrides).map { "\($0.pointer) \($0.code.rawValue) \($0.detail)" }
    }

    /// A spec with one job of the given lines.
    static func job(_ lines: String) -> String {
        "name: one\njobs:\n  a:\n"
            + lines.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }.joined(separator: "\n") + "\n"
    }

    static let train = """
        kind: train
        method: sft
        model: models/base
        dataset: data.jsonl
        """
    static let evaluate = """
        kind: evaluate
        model: models/base
        server: {engine: transformers}
        benchmarks: [{dataset: data.jsonl}]
        """
    static let convert = """
        kind: convert
        create: {architecture: llama, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 4}
        tokenizer: {type: byte_bpe, train_on: data.jsonl}
        """
    static let prepare = "kind: prepare\nsource: {file: data.jsonl}"
    static let command = "kind: command\ncommand: [\"true\"]"
}

/// True where some problem contains all of the words.
func expectProblem(
    _ problems: [String], _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(
        problems.contains { problem in words.allSatisfy { $0.isEmpty || problem.contains($0) } }, "\(words) not in \(problems)",
        sourceLocation: sourceLocation)
}
