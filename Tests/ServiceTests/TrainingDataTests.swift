import Datasets
import Foundation
import JSON
import Testing

@testable import Service

/// What is told of a train job's data before the job may take a GPU.
@Suite struct TrainingDataTests {
    private static let pair = #"{"prompt": "1*10=?", "chosen_response": "10", "rejected_response": "no"}"#
    private static let text = #"{"text": "better or worse"}"#

    /// The message of the refusal of so many lines; `nil` where they are taken.
    private func refusal(_ spec: JSONValue, _ lines: [String], at pointer: String = "dataset", rows: Int? = nil) throws -> String? {
        let path = FileManager.default.temporaryDirectory.path + "/anneal-training-" + UUID().uuidString
        try Data((lines.joined(separator: "\n") + "\n\n").utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }  // A file left behind harms no test.
        let input = ResolvedInput(
            pointer: JSONPointer([pointer]), kind: .file, path: path, sha256: "", format: rows == nil ? nil : "preference", rows: rows)
        do {
            try TrainingData(spec)?.check(input)
            return nil
        } catch let error as ServiceError {
            #expect(error.code == .invalidDataset)
            return error.detail
        }
    }

    @Test(arguments: ["dpo", "ipo", "rpo_sq", "rpo_bwd_kl", "rpo_fwd_kl", "reward"])
    func pairsNeedTheirFieldsAndOneGlobalBatchInBothFiles(_ method: String) throws {
        let spec: JSONValue = ["method": .string(method), "params": ["global_batch_size": 3]]
        let pairs = Array(repeating: Self.pair, count: 3)
        for pointer in ["dataset", "validation"] {
            #expect(try refusal(spec, pairs, at: pointer) == nil)
            let few = try #require(try refusal(spec, Array(pairs.dropLast()), at: pointer))
            #expect(few.hasPrefix("/\(pointer): ") && few.hasSuffix("has 2 pair(s), and one global batch is 3 (params.global_batch_size)"))
        }
        let broken = try #require(try refusal(spec, pairs + [#"{"prompt": "2*10=?", "chosen_response": "20"}"#]))
        #expect(broken.contains("1 error(s) in 4 record(s); the first: line 4, /rejected_response: is missing"))
        // A registered dataset was looked at when it came.
        #expect(try refusal(spec, [], rows: 3) == nil)
        #expect(try refusal(spec, [], rows: 2)?.contains("has 2 pair(s)") == true)
        // The default of NeMo-Aligner.
        #expect(try refusal(["method": .string(method)], pairs)?.contains("one global batch is 64") == true)
    }

    @Test func packsHoldAnyNumberOfPairsAndOtherMethodsAreTheTrainersToCheck() throws {
        let packed: JSONValue = ["global_batch_size": 5, "packing": ["online": "first_fit"]]
        #expect(try refusal(["method": "dpo", "params": packed], [Self.pair]) == nil)
        for method in ["sft", "grpo", "distill", "pretrain"] { #expect(TrainingData(["method": .string(method)]) == nil) }
    }

    @Test func textsByTurnsAreHalfAsManyPairs() throws {
        let lines = Array(repeating: Self.text, count: 4)
        let spec: JSONValue = ["method": "reward", "params": ["global_batch_size": 2]]
        #expect(try refusal(spec, lines) == nil)
        #expect(try refusal(spec, Array(lines.dropLast(2)))?.contains("has 1 pair(s)") == true)
        let regression: JSONValue = ["method": "reward", "params": ["global_batch_size": 4, "loss": "regression"]]
        #expect(try refusal(regression, lines) == nil)
        #expect(try refusal(regression, Array(lines.dropLast()))?.contains("has 3 record(s)") == true)
    }

    @Test func aJobWhoseDataAreTooFewNeverStarts() async throws {
        try await ServiceFixture.with { fixture in
            let data = fixture.folder + "/pairs.jsonl"
            try Data((Self.pair + "\n").utf8).write(to: URL(fileURLWithPath: data))
            let model = fixture.folder + "/model"
            try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
            try Data("{}".utf8).write(to: URL(fileURLWithPath: model + "/config.json"))
            let spec = """
                name: few
                jobs:
                  a: {kind: train, method: dpo, model: ./model, dataset: ./pairs.jsonl, params: {global_batch_size: 2}}
                """
            let request = SubmissionRequest(document: Array(spec.utf8), format: .yaml, overrides: [], baseDirectory: fixture.folder)
            let id = try #require(try await fixture.service.submit(request).jobs.first?.id)
            while try await fixture.state(of: id) != .failed { await Task.yield() }
            let job = try #require(try await fixture.store.read { try $0.job(id) })
            #expect(job.reason == .badData && job.message?.contains("has 1 pair(s), and one global batch is 2") == true)
            #expect(try await fixture.store.read { try $0.attemptCount(job: id) } == 0)
        }
    }
}
