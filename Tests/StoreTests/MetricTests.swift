import Domain
import JSON
import Testing

@testable import Store

@Suite struct MetricTests {
    private func points(_ steps: some Sequence<Int>, key: String = "train/loss", time: Int64 = 100, value: (Int) -> Double = { Double($0) })
        -> [MetricPoint]
    {
        steps.map { MetricPoint(key: key, step: $0, at: at(time + Int64($0)), value: value($0)) }
    }

    private func withJob(limits: StoreLimits = .standard, _ body: (Store) async throws -> Void) async throws {
        try await StoreFixture.with(limits: limits) { fixture in
            try await fixture.store.write { transaction in
                try transaction.insert(experiment: .sample())
                try transaction.insert(jobs: [.sample(state: .running)])
                try transaction.insert(attempt: .sample())
            }
            try await body(fixture.store)
        }
    }

    /// Ends the attempt before and starts the next one.
    private func startAttempt(_ number: Int, resumedFromStep: Int?, in store: Store) async throws {
        try await store.write { transaction in
            try transaction.transition(attempt: "att_\(number - 1)", from: [.starting], to: .failed, at: at(50))
            try transaction.insert(attempt: .sample("att_\(number)", number: number, resumedFromStep: resumedFromStep))
        }
    }

    @Test func aBatchSentTwiceChangesNothing() async throws {
        try await withJob { store in
            let batch = points(1...3)
            let cursor = MetricCursor(path: "/metrics.jsonl", inode: .max, offset: 120)
            #expect(try await store.write { try $0.appendMetrics(attempt: "att_1", points: batch, cursor: cursor, at: at(7)) } == 3)
            let before = try await store.read { try $0.lastEventSeq() }
            let more = batch + points(4...4)
            #expect(try await store.write { try $0.appendMetrics(attempt: "att_1", points: batch, cursor: cursor, at: at(8)) } == 0)
            #expect(try await store.write { try $0.appendMetrics(attempt: "att_1", points: more, at: at(9)) } == 1)
            let (curve, events, stored) = try await store.read { transaction in
                (
                    try transaction.metricPoints(job: "job_1", key: "train/loss"), try transaction.events(after: before, limit: 10).items,
                    try transaction.metricCursor(attempt: "att_1", path: "/metrics.jsonl")
                )
            }
            #expect(curve.map(\.step) == [1, 2, 3, 4] && curve.map(\.value) == [1, 2, 3, 4] && curve.allSatisfy { $0.attempt == 1 })
            #expect(stored == cursor)
            #expect(events.count == 1)
            #expect(
                events.first?.payload == [
                    "job_id": "job_1", "attempt_id": "att_1", "attempt": 1,
                    "points": [["key": "train/loss", "step": 4, "time": 0.104, "value": 4.0]],
                ])
            #expect(events.first?.type == "metric" && events.first?.experimentID == "exp_1")
        }
    }

    @Test func numbersThatJSONCannotHoldComeBackAsTheyWere() async throws {
        try await withJob { store in
            let values: [Double] = [1, .nan, .infinity, -.infinity, -0.5]
            let batch = values.enumerated().map { MetricPoint(key: "k", step: $0, at: at(1), value: $1) }
            try await store.write { try $0.appendMetrics(attempt: "att_1", points: batch, at: at(2)) }
            let (curve, keys, event) = try await store.read {
                (
                    try $0.metricPoints(job: "job_1", key: "k"), try $0.metricKeys(job: "job_1"),
                    try $0.events(after: 0, EventFilter(types: ["metric"]), limit: 1).items
                )
            }
            #expect(curve.map { "\($0.value)" } == values.map { "\($0)" })
            #expect(event.first?.payload["points"]?.array?.map { $0["value"] } == [1.0, "NaN", "Infinity", "-Infinity", -0.5])
            #expect(keys.count == 1 && keys[0].min == -.infinity && keys[0].max == .infinity && keys[0].lastValue == -0.5)
        }
    }

    @Test func anEventCarriesNoMoreThanItsLimit() async throws {
        var limits = StoreLimits.standard
        limits.metricPointsPerEventMax = 10
        try await withJob(limits: limits) { store in
            let (start, first, second) = (try await store.read { try $0.lastEventSeq() }, points(1...10), points(11...21))
            try await store.write { try $0.appendMetrics(attempt: "att_1", points: first, at: at(2)) }
            try await store.write { try $0.appendMetrics(attempt: "att_1", points: second, at: at(2)) }
            let sizes = try await store.read { try $0.events(after: start, limit: 10).items.map { $0.payload["points"]?.array?.count } }
            #expect(sizes == [10, 10, 1])
        }
    }

    @Test func aResumedAttemptReplacesWhatCameAfterItsCheckpoint() async throws {
        try await withJob { store in
            let (first, second, third) = (
                points(0...50), points(20...40, time: 1000) { Double($0) + 100 }, points(31...60, time: 2000) { Double($0) + 200 }
            )
            try await store.write { try $0.appendMetrics(attempt: "att_1", points: first, at: at(2)) }
            try await startAttempt(2, resumedFromStep: 20, in: store)
            // Before the new attempt has written anything the old curve stands.
            #expect(try await store.read { try $0.metricPoints(job: "job_1", key: "train/loss").count } == 51)
            try await store.write { try $0.appendMetrics(attempt: "att_2", points: second, at: at(2)) }
            try await startAttempt(3, resumedFromStep: 30, in: store)
            try await store.write { try $0.appendMetrics(attempt: "att_3", points: third, at: at(2)) }
            let (curve, alone, keys) = try await store.read {
                (
                    try $0.metricPoints(job: "job_1", key: "train/loss"), try $0.metricPoints(job: "job_1", key: "train/loss", attempt: 2),
                    try $0.metricKeys(job: "job_1")
                )
            }
            #expect(curve.map(\.step) == Array(0...60))
            // At step 20 both attempts wrote; the later one stands.
            #expect(
                curve.map(\.attempt) == Array(repeating: 1, count: 20) + Array(repeating: 2, count: 11) + Array(repeating: 3, count: 30))
            for point in curve { #expect(point.value == Double(point.step + (point.attempt - 1) * 100)) }
            #expect(alone.map(\.step) == Array(20...40))
            #expect(keys.map(\.key) == ["train/loss"] && keys[0].firstStep == 0 && keys[0].lastStep == 60 && keys[0].lastValue == 260)
        }
    }

    @Test func anAttemptThatBeganAnewReplacesTheWholeCurve() async throws {
        try await withJob { store in
            let (first, second) = (points(0...50), points(0...5, time: 1000))
            try await store.write { try $0.appendMetrics(attempt: "att_1", points: first, at: at(2)) }
            try await startAttempt(2, resumedFromStep: nil, in: store)
            try await store.write { try $0.appendMetrics(attempt: "att_2", points: second, at: at(2)) }
            let curve = try await store.read { try $0.metricPoints(job: "job_1", key: "train/loss") }
            #expect(curve.map(\.step) == Array(0...5) && curve.allSatisfy { $0.attempt == 2 })
            try await startAttempt(3, resumedFromStep: 0, in: store)
            let third = points(1...2, time: 3000)
            try await store.write { try $0.appendMetrics(attempt: "att_3", points: third, at: at(2)) }
            #expect(try await store.read { try $0.metricPoints(job: "job_1", key: "train/loss").map(\.attempt) } == [2, 3, 3])
        }
    }

    @Test func theLastValueOfAStepWithinAnAttemptStands() async throws {
        try await withJob { store in
            let batch = [MetricPoint(key: "k", step: 1, at: at(10), value: 1), MetricPoint(key: "k", step: 1, at: at(20), value: 2)]
            try await store.write { try $0.appendMetrics(attempt: "att_1", points: batch, at: at(2)) }
            #expect(try await store.read { try $0.metricPoints(job: "job_1", key: "k").map(\.value) } == [2])
        }
    }

    @Test func metricsOfAnUnknownAttemptAreRefused() async throws {
        try await withJob { store async throws in
            #expect(try await code { try await store.write { try $0.appendMetrics(attempt: "att_9", points: [], at: at(1)) } } == .notFound)
        }
    }
}

/// A point of a curve by itself, as tests look at it.
struct SeenPoint: Hashable {
    var step: Int
    var at: Timestamp
    var value: Double
    var attempt: Int
}

extension ReadTransaction {
    func metricPoints(job: String, key: String, attempt: Int? = nil, points: Int? = nil) throws -> [SeenPoint] {
        try curve(job: job, CurveQuery(key: key, attempt: attempt, points: points)).seen
    }
}

extension Curve {
    var seen: [SeenPoint] {
        points.steps.indices.map {
            SeenPoint(
                step: Int(points.steps[$0]), at: Timestamp(milliseconds: points.times[$0]), value: points.values[$0], attempt: attempts[$0])
        }
    }
}
