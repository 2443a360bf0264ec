import Curves
import Domain

/// A curve of one attempt as a stream's history tells it.
public struct HistorySeries: Sendable {
    public var experimentID: String
    public var jobID: String
    public var attemptID: String
    /// The attempt's number.
    public var attempt: Int
    public var key: String
    let ordinal: Int64
    let series: Int64
}

extension ReadTransaction {
    /// The curves that a stream's history is made of: of each attempt and key the best source, in an order that does not change.
    public func history(_ filter: EventFilter) throws -> [HistorySeries] {
        var conditions = Conditions()
        conditions.add("job.experiment_id", equals: filter.experimentID)
        conditions.add("job_id", equals: filter.jobID)
        conditions.add(experiment: "job.experiment_id", within: filter.reach)
        return try rows(
            """
            SELECT experiment_id, job_id, attempt.id, number, key, ordinal, metric_series.id, min(source) FROM metric_series
            JOIN attempt ON ordinal = attempt_ordinal JOIN job ON job.id = attempt.job_id JOIN metric_key ON metric_key.id = key_id
            \(conditions.sql) GROUP BY ordinal, key_id ORDER BY ordinal, key
            """, conditions.arguments
        ) {
            HistorySeries(
                experimentID: $0.text(), jobID: $0.text(), attemptID: $0.text(), attempt: $0.integer(), key: $0.text(), ordinal: $0.long(),
                series: $0.long())
        }
    }

    /// The points of a curve that were known at a number of the sequence; `nil` where that can no longer be told.
    public func points(of one: HistorySeries, asOf snapshot: Int64) throws -> [MetricPoint]? {
        let dropped = try row("SELECT dropped_seq FROM metric_attempt WHERE attempt_ordinal = ?", [one.ordinal], { $0.long() }) ?? 0
        guard dropped <= snapshot else { return nil }
        var points = Points()
        _ = try rows("SELECT data, summary FROM metric_chunk WHERE series_id = ? ORDER BY first_step, first_at_ms", [one.series]) {
            points.append(try $0.chunk())
        }
        let waiting = SeriesTail(id: one.series, packedEnd: nil)
        for entry in try waitingBatches(ordinal: one.ordinal).joined() where entry.series == one.series {
            waiting.insert(entry.place, entry.value)
        }
        points = points.merged(with: waiting.points)
        let later = try rows(
            "SELECT data FROM metric_batch WHERE attempt_ordinal = ? AND seq > ?", [one.ordinal, snapshot], { try $0.batch() })
        let excluded = Set(later.joined().lazy.filter { $0.series == one.series }.map(\.place))
        return points.steps.indices.lazy.filter { excluded.isEmpty || !excluded.contains(points.place($0)) }.map {
            MetricPoint(
                key: one.key, step: Int(points.steps[$0]), at: Timestamp(milliseconds: points.times[$0]), value: points.values[$0])
        }
    }
}
