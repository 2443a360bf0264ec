import Domain
import Store

/// A run as tracking clients see it: a job's own, under the job's identifier, or one that its program made beside it.
public struct TrackedRun: Sendable {
    public var id: String
    public var jobID: String
    public var experimentID: String
    public var name: String
    public var user: String
    /// As MLflow has it, such as `FINISHED`.
    public var status: String
    public var startedAt: Timestamp?
    public var endedAt: Timestamp?
    public var isDeleted: Bool
    /// Stands before the run's keys among those of the job; empty for the job's own run.
    public var prefix: String
    public var params: [(key: String, value: String)] = []
    public var tags: [(key: String, value: String)] = []
    public var inputs: [RunInputRecord] = []
    public var metrics: [MetricKeySummary] = []

    init(_ job: JobRecord) {
        id = job.id
        jobID = job.id
        experimentID = job.experimentID
        name = job.name
        user = "anneal"
        status = Self.status(of: job.state)
        startedAt = job.startedAt ?? job.createdAt
        endedAt = job.finishedAt
        isDeleted = false
        prefix = ""
    }

    init(_ record: TrackedRunRecord, experimentID: String) {
        id = record.id
        jobID = record.jobID
        self.experimentID = experimentID
        name = record.name
        user = record.user
        status = record.status
        startedAt = record.startedAt
        endedAt = record.endedAt
        isDeleted = record.deletedAt != nil
        prefix = record.prefix
    }

    /// The supervisor decides how a job ended, whatever its client said.
    private static func status(of state: JobState) -> String {
        switch state {
        case .waiting, .queued, .paused: "SCHEDULED"
        case .starting, .running, .stopping: "RUNNING"
        case .succeeded: "FINISHED"
        case .failed, .lost: "FAILED"
        case .cancelled, .skipped: "KILLED"
        }
    }
}

/// What one request of a tracking client adds to a run.
public struct TrackedBatch: Sendable {
    public var metrics: [MetricPoint] = []
    public var params: [(key: String, value: String)] = []
    public var tags: [(key: String, value: String)] = []

    /// Values that could not be taken.
    public var dropped = 0

    public init() {}
}

/// Why a tracking client's request was refused, beside the errors that all requests share.
public enum TrackingError: Error, Sendable {
    /// A parameter has another value already.
    case paramChanged(key: String, known: String, asked: String, run: String)
}
