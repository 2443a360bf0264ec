import Domain
import JSON

/// A run that a job's program made beside the job's own, by a tracking client.
public struct TrackedRunRecord: Sendable, Hashable {
    public var id: String
    public var jobID: String
    public var name: String
    /// Stands before the run's keys among those of the job.
    public var prefix: String
    public var user: String
    /// As MLflow has it, such as `FINISHED`.
    public var status: String
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    public var deletedAt: Timestamp?

    /// Makes a record from its parts.
    public init(
        id: String, jobID: String, name: String, prefix: String, user: String, status: String, startedAt: Timestamp,
        endedAt: Timestamp? = nil,
        deletedAt: Timestamp? = nil
    ) {
        self.id = id
        self.jobID = jobID
        self.name = name
        self.prefix = prefix
        self.user = user
        self.status = status
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.deletedAt = deletedAt
    }

    static let columns = "id, job_id, name, prefix, user_name, status, started_at_ms, ended_at_ms, deleted_at_ms"

    init(_ row: inout ColumnReader) {
        id = row.text()
        jobID = row.text()
        name = row.text()
        prefix = row.text()
        user = row.text()
        status = row.text()
        startedAt = row.timestamp()
        endedAt = row.optionalTimestamp()
        deletedAt = row.optionalTimestamp()
    }
}

/// A dataset that a run read, as its client described it.
public struct RunInputRecord: Sendable, Hashable {
    public var name: String
    public var digest: String
    /// MLflow's `DatasetInput`.
    public var document: JSONValue

    public init(name: String, digest: String, document: JSONValue) {
        self.name = name
        self.digest = digest
        self.document = document
    }
}
