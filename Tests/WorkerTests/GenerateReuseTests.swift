import Domain
import Foundation
import JSON
import Testing

/// The journal of a generation, and records that a later job takes over.
@Suite(.serialized) struct GenerateReuseTests {
    private func dataset(_ fixture: WorkerFixture, count: Int) throws -> JSONValue {
        .string(try fixture.write("data.jsonl", (0..<count).map { "{\"id\": \($0), \"problem\": \"q\($0)*\"}\n" }.joined()))
    }

    private func spec(_ url: String, _ dataset: JSONValue, _ further: JSONObject = [:]) -> JSONValue {
        let own: JSONObject = [
            "server": ["url": .string(url)], "dataset": dataset, "concurrency": 4, "retry_delay": 0.01, "prompt": ["user": "{problem}"],
            "model": "mock",
        ]
        return .object(own.merging(further) { $1 })
    }

    private func journal(_ fixture: WorkerFixture, attempt: Int) throws -> [GenerationEntry] {
        try fixture.lines("\(fixture.folder)/attempt-\(attempt)/\(GenerationJournalFile.name)").map {
            try #require(GenerationEntry(line: Array($0.utf8)), "\($0)")
        }
    }

    @Test func theJournalTellsOfEveryRecordOnce() throws {
        let fixture = try WorkerFixture()
        let bad = try MockServer("--mode", "poison:q1*", "--delay", "0.01")
        let data = try dataset(fixture, count: 30)
        _ = try fixture.run(kind: "generate", spec: spec(bad.url, data))
        let first = try journal(fixture, attempt: 1)
        guard case .pass(let pass)? = first.first else {
            Issue.record("\(first)")
            return
        }
        #expect(pass.seed == 0 && pass.first == 0 && pass.total == 30 && pass.chunks == 1)
        let done = first.compactMap { entry -> GenerationEntry.Record? in if case .done(_, let record) = entry { record } else { nil } }
        #expect(done.map(\.position).sorted() == (0..<30).filter { $0 != 1 })
        #expect(done.allSatisfy { $0.tokens == 5 && $0.finish == .stop && !$0.isCopy })
        let failed = first.compactMap { entry -> GenerationEntry.Failure? in if case .failed(_, let one) = entry { one } else { nil } }
        #expect(failed.map(\.position) == [1] && failed[0].cause == "refused" && failed[0].message.contains(bad.url))
        let good = try MockServer()
        #expect(try fixture.run(kind: "generate", spec: spec(good.url, data)).exitCode == 0)
        let second = try journal(fixture, attempt: 2)
        #expect(second.count == 3 && second[0] == first[0] && second[1] == .have(seed: 0, ranges: [0...0, 2...29]))
    }

    @Test(arguments: [true, false])
    func recordsOfAnEarlierJobAreTakenOver(isFinal: Bool) throws {
        let earlier = try WorkerFixture()
        // Where it failed its ledger is left, else its final file.
        let bad = try MockServer("--mode", isFinal ? "good" : "poison:q1*", "--delay", "0.01")
        let ended = try earlier.run(kind: "generate", spec: spec(bad.url, dataset(earlier, count: 20), ["seeds": [5], "limit": 10]))
        #expect(ended.exitCode == (isFinal ? 0 : 65), "\(ended.output)")
        guard case .pass(let pass)? = try journal(earlier, attempt: 1).first else {
            Issue.record("no pass")
            return
        }
        let path = "\(earlier.outputFolder)/output-rs5.jsonl" + (isFinal ? "" : "-async")
        let reuse: JSONValue = [
            "fingerprint": .string(pass.fingerprint),
            "passes": [
                ["job_id": "job_1", "seed": 5, "first": 0, "total": 10, "path": .string(path), "is_ledger": .bool(!isFinal)],
                ["job_id": "job_0", "seed": 5, "first": 0, "total": 10, "path": "/nowhere", "is_ledger": false],
            ],
        ]
        let later = try WorkerFixture()
        let server = try MockServer()
        let more: JSONObject = ["seeds": [5, 6]]
        let ending = try later.run(kind: "generate", spec: spec(server.url, dataset(later, count: 20), more), reuse: reuse)
        #expect(ending.exitCode == 0, "\(ending.output)")
        let taken = isFinal ? 10 : 9
        #expect(try server.stats()["requests"]?.int == 40 - taken && ending.outputs?["summary"]?["reused"]?.int == taken)
        #expect(ending.output.contains("\(taken) of 40 generations are taken over"), "\(ending.output)")
        let records = try later.lines(later.outputFolder + "/output-rs5.jsonl").map { try JSONParser.parse($0) }
        #expect(records.map { $0["id"]?.int } == Array(0..<20) && records.allSatisfy { $0["_async_position"] == nil })
        // Another request takes nothing over.
        let other = try WorkerFixture()
        let asked = try other.run(
            kind: "generate", spec: spec(server.url, dataset(other, count: 20), ["seeds": [5], "max_tokens": 9]), reuse: reuse)
        #expect(asked.exitCode == 0 && asked.outputs?["summary"]?["reused"] == 0)
    }
}
