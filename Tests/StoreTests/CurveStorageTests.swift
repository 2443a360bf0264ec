import Curves
import Domain
import Testing

@testable import Store

/// Curves as they are kept: whatever order points come in, and however they are packed, the same curve is read.
@Suite struct CurveStorageTests {
    private static func small() -> StoreLimits {
        var limits = StoreLimits.standard
        limits.metricTailPointsMax = 64
        limits.metricPointsPerEventMax = 10
        limits.metricReplayBatchesMax = 4
        limits.metricKeysPerAttemptMax = 5
        limits.metricAttemptsAtHandMax = 1
        return limits
    }

    private func withJob(_ limits: StoreLimits, _ body: (StoreFixture) async throws -> Void) async throws {
        try await StoreFixture.with(limits: limits) { fixture async throws in
            try await fixture.store.write { transaction in
                try transaction.insert(experiment: .sample())
                try transaction.insert(jobs: [.sample(state: .running)])
                try transaction.insert(attempt: .sample())
            }
            try await body(fixture)
        }
    }

    @Test(arguments: 0..<20) func anyOrderGivesTheSameCurve(seed: UInt64) async throws {
        var random = SeededGenerator(seed)
        try await withJob(Self.small()) { fixture async throws in
            var model: [String: [Points.Place: Double]] = [:]
            for round in 0..<30 {
                let batch = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                    MetricPoint(
                        key: "k\(Int.random(in: 0..<3, using: &random))",
                        step: seed % 2 == 0 ? round * 40 + Int.random(in: 0..<40, using: &random) : Int.random(in: 0..<300, using: &random),
                        at: at(Int64.random(in: 0..<3, using: &random)), value: Double.random(in: -1...1, using: &random))
                }
                let fresh = try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: batch, at: at(Int64(round))) }
                var expected = 0
                for point in batch {
                    let place = Points.Place(step: Int64(point.step), time: point.at.milliseconds)
                    if model[point.key, default: [:]][place] == nil {
                        model[point.key, default: [:]][place] = point.value
                        expected += 1
                    }
                }
                #expect(fresh == expected)
                #expect(try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: batch, at: at(Int64(round))) } == 0)
                // A write that fails after it has put points leaves none of them behind.
                await #expect(throws: (any Error).self) {
                    try await fixture.store.write { writer throws in
                        let lost = [MetricPoint(key: "k0", step: 7, at: at(99), value: 5)]
                        try writer.appendMetrics(attempt: "att_1", points: lost, at: at(Int64(round)))
                        throw StoreError(.notFound, "on purpose")
                    }
                }
            }
            for _ in 0..<2 {
                for (key, points) in model {
                    let places = points.keys.sorted()
                    let curve = try await fixture.store.read { try $0.curve(job: "job_1", CurveQuery(key: key, axis: .time)) }
                    let stepwise = try await fixture.store.read { try $0.curve(job: "job_1", CurveQuery(key: key)) }
                    #expect(Set(curve.seen.map { Points.Place(step: Int64($0.step), time: $0.at.milliseconds) }) == Set(places))
                    #expect(curve.points.times == curve.points.times.sorted())
                    #expect(stepwise.points.steps == Set(places.map(\.step)).sorted())
                    for point in stepwise.seen {
                        let last = places.last { $0.step == Int64(point.step) }
                        #expect(last.map { points[$0] } == point.value)
                    }
                    let tail = try await fixture.store.read { try $0.curve(job: "job_1", CurveQuery(key: key, last: 7)) }
                    #expect(tail.seen == stepwise.seen.suffix(7))
                    let middle = try await fixture.store.read { try $0.curve(job: "job_1", CurveQuery(key: key, range: 50...200)) }
                    #expect(middle.seen == stepwise.seen.filter { (50...200).contains($0.step) })
                    let summary = try await fixture.store.read { try $0.metricKeys(job: "job_1").first { $0.key == key } }
                    #expect(summary?.count == points.count && summary?.max == points.values.max() && summary?.min == points.values.min())
                    #expect(summary?.lastStep == stepwise.seen.last?.step && summary?.lastValue == stepwise.seen.last?.value)
                }
                try await fixture.store.write { try $0.packMetrics(attempt: "att_1", at: at(10_000_000)) }
            }
        }
    }

    @Test func aFarLookKeepsTheExtremes() async throws {
        try await withJob(.standard) { fixture async throws in
            var batch: [MetricPoint] = (0..<60_000).map { MetricPoint(key: "k", step: $0, at: at(Int64($0)), value: Double($0 % 7)) }
            batch[12_345].value = 99
            batch[54_321].value = -99
            batch[30_000].value = .nan
            let points = batch
            try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: points, at: at(1)) }
            let curve = try await fixture.store.read { try $0.curve(job: "job_1", CurveQuery(key: "k", points: 100)) }
            #expect(curve.count <= 100 && curve.points.steps == curve.points.steps.sorted())
            #expect(curve.seen.contains { $0.step == 12_345 && $0.value == 99 })
            #expect(curve.seen.contains { $0.step == 54_321 && $0.value == -99 })
            #expect(curve.seen.contains { $0.step == 30_000 && $0.value.isNaN })
        }
    }

    @Test func theBetterSourceIsShownAndTold() async throws {
        try await withJob(.standard) { fixture async throws in
            let start = try await fixture.store.read { try $0.lastEventSeq() }
            let one = [MetricPoint(key: "loss", step: 1, at: at(1), value: 1)]
            let two = [MetricPoint(key: "loss", step: 1, at: at(2), value: 1.25)]
            let three = [MetricPoint(key: "loss", step: 2, at: at(3), value: 3)]
            try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: one, source: .log, at: at(1)) }
            try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: two, source: .mlflow, at: at(1)) }
            try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: three, source: .log, at: at(1)) }
            let (best, printed, told) = try await fixture.store.read {
                (
                    try $0.curve(job: "job_1", CurveQuery(key: "loss")), try $0.curve(job: "job_1", CurveQuery(key: "loss", source: .log)),
                    try $0.events(after: start, limit: 10).items
                )
            }
            #expect(best.points.values == [1.25] && best.source == .mlflow)
            #expect(printed.points.values == [1, 3])
            #expect(told.map { $0.metrics?.points.map(\.value) } == [[1], [1.25]])
        }
    }

    @Test func keysOverTheLimitAreCountedAndDropped() async throws {
        try await withJob(Self.small()) { fixture async throws in
            let batch = (0..<8).map { MetricPoint(key: "k\($0)", step: 1, at: at(1), value: 1) }
            #expect(try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: batch, at: at(1)) } == 5)
            #expect(try await fixture.store.read { try $0.droppedMetrics(job: "job_1") } == 3)
            #expect(try await fixture.store.read { try $0.metricKeys(job: "job_1").count } == 5)
        }
    }

    @Test func whatStreamsCanNoLongerTellIsAGap() async throws {
        try await withJob(Self.small()) { fixture async throws in
            let start = try await fixture.store.read { try $0.lastEventSeq() }
            for round in 0..<20 {
                let batch = (0..<10).map { MetricPoint(key: "k", step: round * 10 + $0, at: at(1), value: 1) }
                try await fixture.store.write { try $0.appendMetrics(attempt: "att_1", points: batch, at: at(1)) }
            }
            let (gaps, events) = try await fixture.store.read {
                (try $0.metricGaps(after: start, EventFilter(jobID: "job_1")), try $0.events(after: start, limit: 100).items)
            }
            let through = try #require(gaps.first?.through)
            #expect(gaps.count == 1 && gaps[0].jobID == "job_1" && through > start)
            #expect(events.allSatisfy { $0.seq > through } && events.count >= 4)
            #expect(try await fixture.store.read { try $0.metricGaps(after: through, EventFilter()) }.isEmpty)
        }
    }

    @Test func aRepeatedIdentifierIsClaimedOnce() async throws {
        try await withJob(.standard) { fixture async throws in
            #expect(try await fixture.store.write { try $0.claim(clientIDs: ["a", "b", "a"], attempt: "att_1") } == ["a", "b"])
            #expect(try await fixture.store.write { try $0.claim(clientIDs: ["b", "c"], attempt: "att_1") } == ["c"])
        }
    }
}

/// The same numbers for the same seed, so that a failure can be looked at again (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
