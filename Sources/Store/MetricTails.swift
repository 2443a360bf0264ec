import Curves
import Domain
import GRDB

/// The newest points of the attempts that write, as the writer knows them: what waits to be packed, and where the packed part ends.
///
/// A cache of the database for the writer's thread alone. What a failed write may have left wrong is forgotten and read again.
final class MetricTails {
    private var attempts: [String: AttemptTail] = [:]
    private var clock: UInt64 = 0
    private var touched: Set<String> = []

    /// The tail of an attempt, read from the database where it is not at hand.
    func tail(of attempt: String, in transaction: WriteTransaction) throws -> AttemptTail {
        clock += 1
        touched.insert(attempt)
        if let tail = attempts[attempt] {
            tail.lastUse = clock
            return tail
        }
        let tail = try AttemptTail(attempt, in: transaction)
        tail.lastUse = clock
        if attempts.count >= transaction.limits.metricAttemptsAtHandMax,
            let oldest = attempts.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            attempts[oldest.key] = nil
        }
        attempts[attempt] = tail
        return tail
    }

    func forget(_ attempt: String) { attempts[attempt] = nil }

    /// Before a write.
    func begin() { touched.removeAll(keepingCapacity: true) }

    /// After a write that failed: what it changed here is not in the database.
    func undo() {
        for attempt in touched { attempts[attempt] = nil }
    }

    /// After a transaction that failed.
    func forgetAll() { attempts = [:] }
}

/// The newest points of one attempt.
final class AttemptTail {
    let attemptID: String
    let ordinal: Int64
    let number: Int
    let jobID: String
    let experimentID: String
    var lastUse: UInt64 = 0
    private(set) var series: [SeriesName: SeriesTail] = [:]
    /// Points that wait to be packed.
    var waiting = 0

    struct SeriesName: Hashable {
        let key: String
        let source: MetricSource
    }

    init(_ id: String, in transaction: WriteTransaction) throws {
        let owner = try transaction.row(
            """
            SELECT attempt.ordinal, attempt.number, attempt.job_id, job.experiment_id
            FROM attempt JOIN job ON job.id = attempt.job_id WHERE attempt.id = ?
            """, [id]
        ) { ($0.long(), $0.integer(), $0.text(), $0.text()) }
        guard let owner else { throw StoreError(.notFound, "there is no attempt \(id)") }
        attemptID = id
        (ordinal, number, jobID, experimentID) = owner
        try transaction.execute(
            "INSERT OR IGNORE INTO metric_attempt (attempt_ordinal, packed_seq, dropped_seq) VALUES (?, 0, 0)", ordinal)
        let known = try transaction.rows(
            """
            SELECT metric_series.id, key, source, last_step, last_at_ms
            FROM metric_series JOIN metric_key ON metric_key.id = key_id WHERE attempt_ordinal = ?
            """, [ordinal]
        ) { row in
            let (id, key, source) = (row.long(), row.text(), row.integer())
            return (id, key, source, row.optionalLong(), row.optionalLong())
        }
        var byID: [Int64: SeriesTail] = [:]
        for (id, key, source, step, time) in known {
            let packed = step.flatMap { step in time.map { Points.Place(step: step, time: $0) } }
            let tail = SeriesTail(id: id, packedEnd: packed)
            series[SeriesName(key: key, source: MetricSource(rawValue: source) ?? .log)] = tail
            byID[id] = tail
        }
        for batch in try transaction.waitingBatches(ordinal: ordinal) {
            waiting += batch.count
            for entry in batch { byID[entry.series]?.insert(entry.place, entry.value) }
        }
    }

    /// The series of a key; `nil` where the attempt has as many keys as it may.
    func series(_ key: String, _ source: MetricSource, in transaction: WriteTransaction) throws -> SeriesTail? {
        let name = SeriesName(key: key, source: source)
        if let known = series[name] { return known }
        guard series.count < transaction.limits.metricKeysPerAttemptMax else { return nil }
        let key = try transaction.metricKeyID(key)
        try transaction.execute(
            "INSERT INTO metric_series (attempt_ordinal, key_id, source, count) VALUES (?, ?, ?, 0)", ordinal, key, source.rawValue)
        let tail = SeriesTail(id: transaction.database.lastInsertedRowID, packedEnd: nil)
        series[name] = tail
        return tail
    }

    /// Whether a better source than `source` tells of the key.
    func isToldBetter(_ key: String, than source: MetricSource) -> Bool {
        MetricSource.allCases.contains { $0 < source && series[SeriesName(key: key, source: $0)] != nil }
    }

    func packed() {
        waiting = 0
        for tail in series.values { tail.packed() }
    }
}

/// The newest points of one series.
final class SeriesTail {
    let id: Int64
    /// The last of the points that are in chunks.
    private(set) var packedEnd: Points.Place?
    private(set) var points = Points()

    init(id: Int64, packedEnd: Points.Place?) {
        self.id = id
        self.packedEnd = packedEnd
    }

    var isEmpty: Bool { points.isEmpty }

    /// Whether a point at `place` may be in a chunk already.
    func mayBePacked(_ place: Points.Place) -> Bool { packedEnd.map { place <= $0 } ?? false }

    /// Puts a point in its place. False where one stands there.
    @discardableResult
    func insert(_ place: Points.Place, _ value: Double) -> Bool {
        guard !points.isEmpty, place <= points.place(points.count - 1) else {
            points.append(place, value)
            return true
        }
        let index = points.index(notBefore: place)
        guard points.place(index) != place else { return false }
        points.insert(place, value, at: index)
        return true
    }

    func packed() {
        guard !points.isEmpty else { return }
        packedEnd = max(packedEnd ?? points.place(points.count - 1), points.place(points.count - 1))
        points = Points()
    }
}
