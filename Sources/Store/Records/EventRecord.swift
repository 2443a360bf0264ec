import Domain
import JSON

/// A fact, written in the same transaction as the change it tells of.
public struct EventRecord: Sendable, Hashable {
    /// Grows by one with each event and is never given twice.
    public var seq: Int64
    public var at: Timestamp
    /// Such as `state` or `metric`.
    public var type: String
    public var experimentID: String?
    public var jobID: String?
    public var attemptID: String?
    /// The points of a `metric` event.
    public var metrics: MetricEvent?
    private var stored: JSONValue

    /// An object. That of a `metric` event is made when it is asked for.
    public var payload: JSONValue { metrics.map { $0.payload(job: jobID, attemptID: attemptID) } ?? stored }

    /// An event that has its number.
    public init(
        seq: Int64, at: Timestamp, type: String, experimentID: String?, jobID: String?, attemptID: String?, payload: JSONValue,
        metrics: MetricEvent? = nil
    ) {
        self.seq = seq
        self.at = at
        self.type = type
        self.experimentID = experimentID
        self.jobID = jobID
        self.attemptID = attemptID
        self.stored = payload
        self.metrics = metrics
    }

    static let columns = "seq, at_ms, type, experiment_id, job_id, attempt_id, payload"

    init(_ row: inout ColumnReader) throws {
        seq = row.long()
        at = row.timestamp()
        type = row.text()
        experimentID = row.optionalText()
        jobID = row.optionalText()
        attemptID = row.optionalText()
        stored = try row.json()
    }
}
