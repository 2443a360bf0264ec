import Curves
import Domain
import Foundation
import Testing

@testable import Store

/// What is left of metrics after their time, and that what is let go frees the disk.
@Suite struct MetricRetentionTests {
    private static let day: Int64 = 86_400_000
    private static let keys = ["train/loss", "ray/node.0.gpu.0.util"]

    /// A store with one ended attempt of 20,000 points for each key, the last of which stand out.
    private func withEndedJob(_ limits: StoreLimits = .standard, _ body: (StoreFixture) async throws -> Void) async throws {
        try await StoreFixture.with(limits: limits) { fixture async throws in
            try await fixture.store.write { transaction in
                try transaction.insert(experiment: .sample())
                try transaction.insert(jobs: [.sample(state: .running)])
                try transaction.insert(attempt: .sample())
            }
            for key in Self.keys {
                var points = (0..<20_000).map { MetricPoint(key: key, step: $0, at: at(Int64($0)), value: sin(Double($0)) + Double($0)) }
                points[777].value = -99
                let batch = points
                try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: batch, at: at(5)) }
            }
            try await fixture.store.write { transaction in
                try transaction.packMetrics(attempt: "att_1", at: at(6))
                try transaction.transition(attempt: "att_1", from: [.starting], to: .failed, at: at(10))
            }
            try await body(fixture)
        }
    }

    private func counts(_ fixture: StoreFixture) async throws -> [Int] {
        try await fixture.store.read { reader in try Self.keys.map { try reader.curve(job: "job_1", CurveQuery(key: $0)).count } }
    }

    private static func retention(_ days: (Int?, Int?), devices: (Int?, Int?) = (nil, nil)) -> MetricRetention {
        func ages(_ days: (Int?, Int?)) -> MetricRetention.Ages {
            .init(points: days.0.map { .seconds($0 * 86_400) }, summaries: days.1.map { .seconds($0 * 86_400) })
        }
        return MetricRetention(curves: ages(days), devices: ages(devices))
    }

    @Test func tiersGoOneAfterTheOther() async throws {
        try await withEndedJob { fixture async throws in
            let retention = Self.retention((10, 20), devices: (1, 2))
            let before = try await fixture.store.read { try $0.metricKeys(job: "job_1") }
            func apply(day: Int64) async throws -> Int {
                try await fixture.store.write { try $0.apply(retention, at: at(day * Self.day + 11)) }
            }
            #expect(try await apply(day: 0) == 0)
            #expect(try await counts(fixture) == [20_000, 20_000])
            #expect(try await apply(day: 1) == 1)
            let reduced = try await counts(fixture)
            #expect(reduced[0] == 20_000 && reduced[1] > 100 && reduced[1] < 400)
            #expect(try await apply(day: 1) == 0, "what was reduced is not looked at again")
            #expect(try await apply(day: 2) == 1)
            #expect(try await counts(fixture) == [20_000, 0])
            #expect(try await apply(day: 10) == 1)
            let curve = try await fixture.store.read { try $0.curve(job: "job_1", CurveQuery(key: "train/loss")) }
            #expect(curve.count < 400 && curve.seen.contains { $0.step == 777 && $0.value == -99 })
            // The extremes and the count are still those of all points.
            #expect(try await fixture.store.read { try $0.metricKeys(job: "job_1") } == before.filter { $0.key == "train/loss" })
            #expect(try await apply(day: 20) == 1)
            #expect(try await counts(fixture) == [0, 0])
        }
    }

    @Test func aLiveAttemptKeepsEverything() async throws {
        try await StoreFixture.with { fixture async throws in
            try await fixture.store.write { try $0.insertSamples() }
            let points = [MetricPoint(key: "k", step: 1, at: at(1), value: 1)]
            try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: points, at: at(1)) }
            let reduced = try await fixture.store.write { try $0.apply(Self.retention((0, 0)), at: at(1000 * Self.day)) }
            #expect(reduced == 0)
            let refusal = try await code { try await fixture.store.write { try $0.deleteMetrics(job: "job_1", at: at(2)) { _ in true } } }
            #expect(refusal == .conflict)
        }
    }

    @Test func oneWriteLetsGoOfSoManyAttempts() async throws {
        var limits = StoreLimits.standard
        limits.retentionAttemptsMax = 2
        try await StoreFixture.with(limits: limits) { fixture async throws in
            try await fixture.store.write { transaction in
                try transaction.insert(experiment: .sample())
                for number in 1...3 {
                    try transaction.insert(jobs: [.sample("job_\(number)", position: number - 1)])
                    try transaction.insert(attempt: .sample("att_\(number)", job: "job_\(number)"))
                    let points = [MetricPoint(key: "k", step: 1, at: at(1), value: 1)]
                    try transaction.appendMetrics(attempt: "att_\(number)", points: points, at: at(1))
                    try transaction.transition(attempt: "att_\(number)", from: [.starting], to: .failed, at: at(10))
                }
            }
            for expected in [limits.retentionAttemptsMax, 1, 0] {
                let reduced = try await fixture.store.write { try $0.apply(Self.retention((1, nil)), at: at(2 * Self.day)) }
                #expect(reduced == expected)
            }
        }
    }

    @Test func deletionIsOfWhatWasNamedAndFreesTheDisk() async throws {
        var limits = StoreLimits.standard
        limits.freedPagesMax = 8
        try await withEndedJob(limits) { fixture async throws in
            let store = fixture.store
            #expect(try await store.write { try $0.deleteMetrics(job: "job_1", attempt: 2, at: at(20)) { _ in true } } == 0)
            #expect(try await store.write { try $0.deleteMetrics(job: "job_1", at: at(20)) { $0 == "train/loss" } } == 20_000)
            #expect(try await counts(fixture) == [0, 20_000])
            let free = try await store.read { try $0.freePages() }
            #expect(free > 2 * limits.freedPagesMax)
            #expect(try await store.write { try $0.giveBackSpace() })
            #expect(try await store.read { try $0.freePages() } == free - limits.freedPagesMax)
            while try await store.write({ try $0.giveBackSpace() }) {}
            #expect(try await store.read { try $0.freePages() } == 0)
            #expect(try await store.read { try $0.quickCheck() } == "ok")
            // What was deleted can be logged anew.
            let again = [MetricPoint(key: "train/loss", step: 1, at: at(1), value: 1)]
            #expect(try await store.write { try $0.appendMetrics(attempt: "att_1", points: again, at: at(30)) } == 1)
            #expect(try await counts(fixture) == [1, 20_000])
        }
    }

    @Test func anOlderDatabaseLearnsToGivePagesBack() async throws {
        try await StoreFixture.withFolder { folder in
            let path = folder + "/anneal.db"
            let old = try Store.open(path: path, migrations: Array(Migration.embedded.prefix(2)))
            await old.close()
            let mode = try Store.open(path: path)
            #expect(try await mode.read { try $0.rows("PRAGMA auto_vacuum") { $0.integer() } } == [2])
            await mode.close()
        }
    }

    @Test(arguments: [(2000, 512, 2), (1999, 512, 1), (2000, 1, 1)])
    func streamsGoBackSoFar(points: Int, batches: Int, kept: Int) async throws {
        var limits = StoreLimits.standard
        limits.metricReplayPointsMax = points
        limits.metricReplayBatchesMax = batches
        limits.metricPointsPerEventMax = 1000
        limits.metricReplayTime = .seconds(600)
        try await StoreFixture.with(limits: limits) { fixture async throws in
            try await fixture.store.write { try $0.insertSamples() }
            let start = try await fixture.store.read { try $0.lastEventSeq() }
            let fresh = (0..<2000).map { MetricPoint(key: "k", step: $0, at: at(Int64($0)), value: 1) }
            try await fixture.store.write { writer throws in
                try writer.appendMetrics(attempt: "att_1", points: fresh, at: at(5000))
                try writer.packMetrics(attempt: "att_1", at: at(5000))
            }
            func batches() async throws -> Int { try await fixture.store.read { try $0.events(after: start, limit: 10).items.count } }
            #expect(try await batches() == kept)
            try await fixture.store.write { try $0.tidyMetrics(at: at(5000 + 600_000)) }
            #expect(try await batches() == kept)
            try await fixture.store.write { try $0.tidyMetrics(at: at(5000 + 600_001)) }
            #expect(try await batches() == 0)
            #expect(try await fixture.store.read { try $0.curve(job: "job_1", CurveQuery(key: "k")).count } == 2000)
        }
    }
}
