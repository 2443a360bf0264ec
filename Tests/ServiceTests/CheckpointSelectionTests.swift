import Domain
import JSON
import Specification
import Store
import Testing

@testable import Service

@Suite struct CheckpointSelectionTests {
    /// Checkpoints of the steps 10, 20 … with these losses; `nil` for one without.
    private func checkpoints(_ losses: [Double?]) -> [CheckpointRecord] {
        losses.enumerated().map { index, loss in
            CheckpointRecord(
                id: "ckpt_\(index)", jobID: "job_1", attemptID: "att_1", kind: .training, step: (index + 1) * 10, path: "/c/\(index)",
                sha256: "00", bytes: 1, metrics: loss.map { ["val_loss": .double($0)] } ?? [:], createdAt: Timestamp(milliseconds: 1))
        }
    }

    private func steps(
        _ order: String, _ count: Int, of found: [CheckpointRecord], training: JSONValue = [:], isCached: Bool = false
    ) throws -> [Int] {
        let average: JSONValue = .object(["checkpoints": "${sft.checkpoints}", order: .int(Int64(count))])
        let selection = try #require(CheckpointSelection(spec: ["kind": "convert", "average": average]))
        return try selection.choose(among: found.reversed(), training: training, isCached: isCached).compactMap(\.step)
    }

    @Test func theLastAreThoseOfTheHighestSteps() throws {
        #expect(try steps("last", 2, of: checkpoints([1, 2, 3, 4])) == [30, 40])
        #expect(try steps("last", 4, of: checkpoints([1, 2, 3, 4])) == [10, 20, 30, 40])
    }

    @Test func theBestAreRankedAsTheTrainerRanksThem() throws {
        #expect(try steps("best", 2, of: checkpoints([3, 1, nil, 2])) == [20, 40])
        // Among equals the later is better, and one without the metric is worst.
        #expect(try steps("best", 2, of: checkpoints([1, 1, 1])) == [20, 30])
        #expect(try steps("best", 3, of: checkpoints([nil, 5, nil, 6])) == [20, 30, 40])
        #expect(try steps("best", 2, of: checkpoints([3, 1, 2]), training: ["checkpoint": ["mode": "max"]]) == [10, 30])
    }

    @Test func whatWasDeletedOrIsNoStepDoesNotCount() throws {
        var found = checkpoints([1, 2, 3])
        found[2].deletedAt = Timestamp(milliseconds: 2)
        found.append(
            CheckpointRecord(
                id: "ckpt_m", jobID: "job_1", attemptID: "att_1", kind: .model, step: nil, path: "/m", sha256: "00", bytes: 1, metrics: [:],
                createdAt: Timestamp(milliseconds: 1)))
        #expect(try steps("last", 2, of: found) == [10, 20])
    }

    @Test func tooFewAreAnErrorThatSaysWhatToDo() throws {
        let error = try #require(throws: ServiceError.self) { try steps("last", 3, of: checkpoints([1, 2]), isCached: true) }
        #expect(error.detail.contains("has 2 checkpoints, and 3 are to be averaged") && error.detail.contains("'cache: false'"))
        let none = try #require(throws: ServiceError.self) { try steps("best", 2, of: checkpoints([nil, nil])) }
        #expect(none.detail.contains("has the metric 'val_loss'") && none.detail.contains("write 'last'"))
    }
}
