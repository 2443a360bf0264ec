import APITypes
import Domain
import Foundation
import JSON
import Testing

@testable import Service
@testable import Store

/// What the daemon shows of generations, and the bounds on it.
@Suite struct GenerationProgressTests {
    private static let time = Timestamp(milliseconds: 5)

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/anneal-generations-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }  // A folder left behind harms no test.
        try await body(folder)
    }

    private func pass(seed: Int = 0, total: Int, done: Int = 0) -> GenerationPassRecord {
        var pass = GenerationPassRecord(job: "job_1", .init(seed: seed, chunk: 0, chunks: 1, first: 0, total: total, fingerprint: "f"))
        pass.done = done
        return pass
    }

    /// A store with a failed job that has these entries.
    private func withStore(_ entries: [GenerationEntry], _ body: (Store) async throws -> Void) async throws {
        try await withFolder { folder in
            let store = try Store.open(path: folder + "/anneal.db")
            try await store.write { writer in
                try writer.insert(
                    experiment: ExperimentRecord(
                        id: "exp_1", name: "e", project: "p", tags: [:], spec: [:], document: "", createdAt: Self.time)
                )
                let job = JobRecord(
                    id: "job_1", experimentID: "exp_1", position: 0, name: "gen", kind: .generate, state: .queued,
                    resources: ResourceRequest(gpus: 0, cpus: 1, memoryBytes: 0), spec: [:], createdAt: Self.time)
                try writer.insert(jobs: [job])
                try writer.insert(
                    attempt: AttemptRecord(
                        id: "att_1", jobID: "job_1", number: 1, gpus: [], cpus: 1, memoryBytes: 0, directory: "/a", tokenHash: "t",
                        resumedFromStep: nil, createdAt: Self.time))
                try writer.appendGenerations(
                    job: "job_1", attempt: "att_1", entries: entries, cursor: MetricCursor(path: "j", inode: 1, offset: 1))
                try writer.transition(job: "job_1", from: [.queued], to: .failed, at: Self.time)
            }
            try await body(store)
            await store.close()
        }
    }

    @Test func listsOfPassesAndOfWhatIsMissingAreBounded() async throws {
        let stretches = ServiceLimits.missingStretchesMax
        let seeds = ServiceLimits.generationPassesMax + 1
        // Every other record is there, which leaves one stretch more than is named.
        let entries = (0..<seeds).flatMap { seed -> [GenerationEntry] in
            let facts = GenerationEntry.Pass(seed: seed, chunk: 0, chunks: 1, first: 100, total: 2 * stretches + 1, fingerprint: "f")
            return [.pass(facts), .have(seed: seed, ranges: (0..<stretches).map { (2 * $0 + 1)...(2 * $0 + 1) })]
        }
        try await withStore(entries) { store in
            let view = try await store.read { try AnnealService.generations(of: "job_1", in: $0) }
            #expect(view.passes.count == ServiceLimits.generationPassesMax && view.done == seeds * stretches)
            #expect(view.total == seeds * (2 * stretches + 1) && view.records == 2 * stretches + 1 && view.requestsInFlight == nil)
            #expect(view.passes[0].missing == (0..<stretches).map { .init(from: 100 + 2 * $0, to: 100 + 2 * $0) })
            #expect(view.passes.filter { !$0.missing.isEmpty }.count == ServiceLimits.missingPassesMax)
        }
    }

    @Test func onlySoManyPassesAreTakenOverFrom() async throws {
        let most = ServiceLimits.reusePassesMax
        let entries = (0...most).flatMap { seed -> [GenerationEntry] in
            [
                .pass(.init(seed: seed, chunk: 0, chunks: 1, first: 0, total: 1, fingerprint: "f")),
                .have(seed: seed, ranges: [0...0]),
            ]
        }
        try await withStore(entries) { store in
            for seeds in [most, most + 1] {
                let found = try await store.read {
                    try AnnealService.reusablePasses(fingerprint: "f", seeds: Array(0..<seeds), except: "job_2", in: $0)
                }
                #expect(found.count == most)
            }
        }
    }

    // MARK: Samples

    private func sample(_ folder: String, _ lines: [String], isLedger: Bool = false, count: Int = 100, randomSeed: Int = 0) throws
        -> [GenerationSampleView]
    {
        let path = folder + "/output.jsonl"
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: path))
        let source = GenerationSampler.Source(
            pass: pass(total: lines.count, done: lines.count), file: GenerationFiles(path: path, isLedger: isLedger))
        var sampler = GenerationSampler([source], randomSeed: randomSeed)
        return try sampler.draw(count)
    }

    @Test func samplesAreDrawnWithTheirPlacesAndAlikeForTheSameSeed() async throws {
        try await withFolder { folder in
            let lines = (0..<50).map { #"{"id": \#($0), "generation": "g\#($0)", "num_generated_tokens": 3, "generation_time": 0.5}"# }
            let all = try sample(folder, lines)
            #expect(all.map(\.record) == Array(0..<50) && all[7].input == ["id": 7] && all[7].generation == "g7" && all[7].tokens == 3)
            let some = try sample(folder, lines, count: 5, randomSeed: 1)
            #expect(try some.count == 5 && some == sample(folder, lines, count: 5, randomSeed: 1))
            #expect(try some != sample(folder, lines, count: 5, randomSeed: 2))
            let ledger = [#"{"generation": "a", "_async_position": 9}"#, #"{"generation": "cut"#, #"["none"]"#]
            #expect(try sample(folder, ledger, isLedger: true).map(\.record) == [9])
        }
    }

    @Test func longTextsAreCutAndRecordsThatAreTooLongLeftOut() async throws {
        try await withFolder { folder in
            let limit = ServiceLimits.sampleBytesMax
            for (length, isCut) in [(limit, false), (limit + 1, true)] {
                let text = String(repeating: "x", count: length)
                let found = try sample(folder, [#"{"a": "\#(text)", "generation": "\#(text)"}"#])
                #expect(
                    found.count == 1 && found[0].isCut == isCut && found[0].generation.utf8.count == limit && found[0].input?.object == nil)
            }
            let frame = #"{"generation": ""}"#.utf8.count
            for (bytes, count) in [(ServiceLimits.sampledRecordBytesMax, 1), (ServiceLimits.sampledRecordBytesMax + 1, 0)] {
                let text = String(repeating: "x", count: bytes - frame)
                #expect(try sample(folder, [#"{"generation": "\#(text)"}"#]).count == count)
            }
        }
    }

    @Test func aLargeFileIsNotReadForASample() async throws {
        try await withFolder { folder in
            let text = String(repeating: "x", count: 1 << 16)
            // With the line ends the files have as many bytes as the limit, and one more.
            for (past, isWhole) in [(0, true), (1, false)] {
                let frame = #"{"generation": ""}"#.utf8.count + 1
                let lines = ServiceLimits.sampledWholeBytesMax / (1 << 16)
                var records = (0..<lines).map { _ in #"{"generation": "\#(text.dropLast(frame))"}"# }
                records[0] = #"{"generation": "\#(text.dropLast(frame - past))"}"#
                let found = try sample(folder, records, count: 3)
                #expect(found.count == 3 && found.allSatisfy { ($0.record != nil) == isWhole })
            }
        }
    }
}
