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
    /// An object.
    public var payload: JSONValue

    /// An event that has its number.
    public init(seq: Int64, at: Timestamp, type: String, experimentID: String?, jobID: String?, attemptID: String?, payload: JSONValue) {
        self.seq = seq
        self.at = at
        self.type = type
        self.experimentID = experimentID
        self.jobID = jobID
        self.attemptID = attemptID
        self.payload = payload
    }

    static let columns = "seq, at_ms, type, experiment_id, job_id, attempt_id, payload"

    init(_ row: inout ColumnReader) throws {
        seq = row.long()
        at = row.timestamp()
        type = row.text()
        experimentID = row.optionalText()
        jobID = row.optionalText()
        attemptID = row.optionalText()
        payload = try row.json()
    }
}
