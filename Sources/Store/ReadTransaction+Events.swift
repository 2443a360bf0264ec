import Curves
import Domain

/// Which events a stream carries.
public struct EventFilter: Sendable {
    public var experimentID: String?
    public var jobID: String?
    /// `nil` for all.
    public var types: Set<String>?
    public var reach: Reach

    /// A filter; what is left out does not restrict.
    public init(experimentID: String? = nil, jobID: String? = nil, types: Set<String>? = nil, reach: Reach = .everything) {
        self.reach = reach
        self.experimentID = experimentID
        self.jobID = jobID
        self.types = types
    }

    /// Whether a stream with this filter carries `event`.
    public func matches(_ event: EventRecord) -> Bool {
        (experimentID == nil || experimentID == event.experimentID) && (jobID == nil || jobID == event.jobID)
            && types?.contains(event.type) != false
    }
}

/// Points that a stream can no longer tell of one by one.
public struct MetricGap: Sendable, Hashable {
    public var experimentID: String
    public var jobID: String
    /// Where they lie in the sequence: after what the stream has told, up to and with this.
    public var through: Int64

    public init(experimentID: String, jobID: String, through: Int64) {
        self.experimentID = experimentID
        self.jobID = jobID
        self.through = through
    }
}

extension ReadTransaction {
    /// Events after a sequence number, in order, `metric` events among them.
    public func events(after seq: Int64, _ filter: EventFilter = EventFilter(), limit: Int) throws -> Page<EventRecord> {
        var conditions = Conditions()
        conditions.add("seq > ?", seq)
        conditions.add("experiment_id", equals: filter.experimentID)
        conditions.add("job_id", equals: filter.jobID)
        conditions.add(experiment: "experiment_id", within: filter.reach)
        conditions.add("type", in: filter.types?.sorted())
        var found = try page("SELECT \(EventRecord.columns) FROM event\(conditions.sql) ORDER BY seq", conditions.arguments, limit: limit) {
            try EventRecord(&$0)
        }
        guard filter.types?.contains("metric") != false else { return found }
        let batches = try metricEvents(after: seq, filter, limit: limit)
        guard !batches.items.isEmpty else { return found }
        // Where a list goes on, what the other has beyond its end must wait for the next page.
        let end = min(found.hasMore ? found.items.last?.seq ?? .max : .max, batches.hasMore ? batches.items.last?.seq ?? .max : .max)
        let all = (found.items + batches.items).filter { $0.seq <= end }.sorted { $0.seq < $1.seq }
        found.hasMore = found.hasMore || batches.hasMore || all.count > limit
        found.items = Array(all.prefix(limit))
        return found
    }

    /// Points as they came, while they are kept that way.
    private func metricEvents(after seq: Int64, _ filter: EventFilter, limit: Int) throws -> Page<EventRecord> {
        var conditions = Conditions()
        conditions.add("metric_batch.seq > ?", seq)
        conditions.add("is_told = ?", 1)
        conditions.add("job.experiment_id", equals: filter.experimentID)
        conditions.add("attempt.job_id", equals: filter.jobID)
        conditions.add(experiment: "job.experiment_id", within: filter.reach)
        // Without the hint SQLite would go through the attempts of the job, and sort.
        let sql = """
            SELECT metric_batch.seq, at_ms, experiment_id, job_id, attempt.id, number, data FROM metric_batch
            JOIN attempt ON attempt.ordinal = +attempt_ordinal JOIN job ON job.id = attempt.job_id\(conditions.sql) ORDER BY metric_batch.seq
            """
        var keys: [Int64: String] = [:]
        let found = try page(sql, conditions.arguments, limit: limit) { row in
            let (seq, at, experiment, job, attempt) = (row.long(), row.timestamp(), row.text(), row.text(), row.text())
            let (number, entries) = (row.integer(), try row.batch())
            return (seq, at, experiment, job, attempt, number, entries)
        }
        let events = try found.items.map { seq, at, experiment, job, attempt, number, entries in
            let points = try entries.map { entry in
                let key = try keys[entry.series] ?? seriesKey(entry.series)
                keys[entry.series] = key
                return MetricPoint(
                    key: key, step: Int(entry.place.step), at: Timestamp(milliseconds: entry.place.time), value: entry.value)
            }
            return EventRecord(
                seq: seq, at: at, type: "metric", experimentID: experiment, jobID: job, attemptID: attempt, payload: [:],
                metrics: MetricEvent(attempt: number, points: points[...]))
        }
        return Page(items: events, hasMore: found.hasMore)
    }

    private func seriesKey(_ id: Int64) throws -> String {
        try row("SELECT key FROM metric_series JOIN metric_key ON metric_key.id = key_id WHERE metric_series.id = ?", [id]) { $0.text() }
            ?? ""
    }

    /// Jobs of which points after `seq` are gone as events; they are in the curves.
    public func metricGaps(after seq: Int64, _ filter: EventFilter) throws -> [MetricGap] {
        var conditions = Conditions()
        conditions.add("dropped_seq > ?", seq)
        conditions.add("job.experiment_id", equals: filter.experimentID)
        conditions.add("job_id", equals: filter.jobID)
        conditions.add(experiment: "job.experiment_id", within: filter.reach)
        return try rows(
            """
            SELECT experiment_id, job_id, max(dropped_seq) FROM metric_attempt JOIN attempt ON ordinal = attempt_ordinal
            JOIN job ON job.id = attempt.job_id\(conditions.sql) GROUP BY job_id
            """, conditions.arguments
        ) { MetricGap(experimentID: $0.text(), jobID: $0.text(), through: $0.long()) }
    }

    /// The last sequence number that was given, 0 before the first; deleting old events does not change it.
    public func lastEventSeq() throws -> Int64 {
        try row("SELECT max(seq) FROM sqlite_sequence WHERE name IN ('event', 'metric_batch')") { $0.optionalLong() ?? 0 } ?? 0
    }

    /// The sequence number of the oldest event that is kept; `nil` where there is none.
    public func firstEventSeq() throws -> Int64? { try row("SELECT min(seq) FROM event") { $0.optionalLong() } ?? nil }
}
