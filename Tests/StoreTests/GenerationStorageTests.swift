import Domain
import Testing

@testable import Store

/// The passes of generations in the database, as their journals tell of them.
@Suite struct GenerationStorageTests {
    private func pass(_ seed: Int = 0, total: Int, fingerprint: String = "f", first: Int = 0) -> GenerationEntry {
        .pass(.init(seed: seed, chunk: 0, chunks: 1, first: first, total: total, fingerprint: fingerprint))
    }

    private func done(_ position: Int, seed: Int = 0, tokens: Int? = 10, _ finish: GenerationEntry.Finish = .stop, copy: Bool = false)
        -> GenerationEntry
    { .done(seed: seed, .init(position: position, tokens: tokens, finish: finish, at: at(Int64(100 + position)), isCopy: copy)) }

    private func failed(_ position: Int, seed: Int = 0, tries: Int = 3) -> GenerationEntry {
        .failed(seed: seed, .init(position: position, cause: "timeout", tries: tries, at: at(7), message: "too late"))
    }

    /// A store with the sample job, whose own pass is out of the way.
    private func withStore(_ body: (Store) async throws -> Void) async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { writer in
                try writer.insertSamples()
                try writer.execute("DELETE FROM generation_pass")
            }
            try await body(fixture.store)
        }
    }

    private func append(_ store: Store, _ entries: [GenerationEntry], job: String = "job_1") async throws {
        try await store.write {
            try $0.appendGenerations(
                job: job, attempt: "att_1", entries: entries, cursor: MetricCursor(path: "generations.journal", inode: 1, offset: 9))
        }
    }

    @Test func recordsAreCountedOnceAndFailuresGoWhenTheirRecordComes() async throws {
        try await withStore { store in
            try await append(store, [pass(total: 100_000), done(0), done(0), done(99_999, .length, copy: true), failed(5), failed(6)])
            try await append(store, [failed(5, tries: 2), done(6), done(40_000, tokens: nil, .toolCalls), done(100_000), done(1, seed: 9)])
            let found = try #require(try await store.read { try $0.generationPasses(job: "job_1") }.first)
            #expect(found.done == 4 && found.failed == 1 && found.reused == 1 && found.tokens == 30)
            #expect(found.finishes == [.stop: 2, .length: 1, .toolCalls: 1, .other: 0])
            #expect(found.firstAt == at(100) && found.lastAt == at(100_099))
            let failures = try await store.read { try $0.generationFailures(job: "job_1", limit: 10) }
            #expect(failures.items.map(\.position) == [5] && failures.items[0].tries == 5 && failures.items[0].message == "too late")
            let missing = try await store.read { try $0.missingGenerations(found, max: 10) }
            #expect(missing == [1...5, 7...39_999, 40_001...99_998])
            #expect(try await store.read { try $0.missingGenerations(found, max: 1) } == [1...5])
        }
    }

    @Test func anAttemptBeginsWithWhatItsLedgerHolds() async throws {
        try await withStore { store in
            try await append(store, [pass(total: 70_000), done(0), done(1), failed(2), failed(3)])
            try await append(store, [pass(total: 70_000), .have(seed: 0, ranges: [0...2, 30_000...69_999])])
            let found = try #require(try await store.read { try $0.generationPasses(job: "job_1") }.first)
            #expect(found.done == 40_003 && found.failed == 1 && found.tokens == 20)
            #expect(try await store.read { try $0.missingGenerations(found, max: 9) } == [3...29_999])
            // Another request begins anew.
            try await append(store, [pass(total: 70_000, fingerprint: "g")])
            let other = try #require(try await store.read { try $0.generationPasses(job: "job_1") }.first)
            #expect(other.done == 0 && other.failed == 0 && other.tokens == 0 && other.fingerprint == "g")
        }
    }

    @Test func tenMillionRecordsAreASmallWrite() async throws {
        try await withStore { store in
            let total = 10_000_000
            try await append(store, [pass(total: total), .have(seed: 0, ranges: [0...(total - 2)]), done(total - 1)])
            let found = try #require(try await store.read { try $0.generationPasses(job: "job_1") }.first)
            #expect(found.done == total)
            #expect(try await store.read { try $0.missingGenerations(found, max: 9) }.isEmpty)
            let bytes = try await store.read { try $0.row("SELECT sum(length(bits)) FROM generation_segment") { $0.integer() } }
            #expect(bytes == total / 8)
        }
    }

    @Test func passesAreFoundByWhatTheyAskAndGoWithTheirJob() async throws {
        try await withStore { store in
            try await append(store, [pass(3, total: 5), done(0, seed: 3)])
            try await append(store, [pass(3, total: 9), done(0, seed: 3), done(1, seed: 3), failed(2, seed: 3)], job: "job_2")
            let found = try await store.read { try $0.generationPasses(fingerprint: "f", seed: 3, except: "job_9", limit: 5) }
            #expect(found.map(\.jobID) == ["job_2", "job_1"])
            #expect(try await store.read { try $0.generationPasses(fingerprint: "f", seed: 3, except: "job_2", limit: 5) }.count == 1)
            #expect(try await store.read { try $0.generationPasses(fingerprint: "f", seed: 4, except: "", limit: 5) }.isEmpty)
            try await store.write { writer in
                try writer.execute("DELETE FROM job_need")
                try writer.execute("DELETE FROM job WHERE id = 'job_2'")
            }
            for table in ["generation_pass", "generation_segment"] {
                #expect(try await store.read { try $0.row("SELECT count(*) FROM \(table)") { $0.integer() } } == 1)
            }
            #expect(try await store.read { try $0.row("SELECT count(*) FROM generation_failure") { $0.integer() } } == 0)
        }
    }

    @Test func failuresComeInPages() async throws {
        try await withStore { store in
            try await append(store, [pass(0, total: 5), pass(1, total: 5)] + (0..<3).map { failed($0) } + [failed(4, seed: 1)])
            let first = try await store.read { try $0.generationFailures(job: "job_1", limit: 2) }
            #expect(first.items.map(\.position) == [0, 1] && first.hasMore)
            let rest = try await store.read { try $0.generationFailures(job: "job_1", after: (0, 1), limit: 2) }
            #expect(rest.items.map(\.position) == [2, 4] && rest.items.map(\.seed) == [0, 1] && !rest.hasMore)
        }
    }
}
