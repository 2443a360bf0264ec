import Domain
import JSON

/// A model on disk that a job made.
public struct CheckpointRecord: Sendable, Hashable {
    /// What made it.
    public enum Kind: String, Sendable, CaseIterable {
        /// A step of a training.
        case training
        /// A conversion or creation.
        case model
    }

    public var id: String
    public var jobID: String
    public var attemptID: String?
    public var kind: Kind
    /// `nil` for a model that no training step made.
    public var step: Int?
    public var path: String
    /// Of the manifest of the folder's files.
    public var sha256: String?
    public var bytes: Int64
    /// An object of numbers.
    public var metrics: JSONValue
    public var pinned: Bool
    public var createdAt: Timestamp
    /// When its files were removed.
    public var deletedAt: Timestamp?

    /// A checkpoint that is complete on disk.
    public init(
        id: String, jobID: String, attemptID: String? = nil, kind: Kind = .training, step: Int?, path: String, sha256: String? = nil,
        bytes: Int64, metrics: JSONValue = [:], pinned: Bool = false, createdAt: Timestamp
    ) {
        self.id = id
        self.jobID = jobID
        self.attemptID = attemptID
        self.kind = kind
        self.step = step
        self.path = path
        self.sha256 = sha256
        self.bytes = bytes
        self.metrics = metrics
        self.pinned = pinned
        self.createdAt = createdAt
    }

    static let columns = "id, job_id, attempt_id, kind, step, path, sha256, bytes, metrics, pinned, created_at_ms, deleted_at_ms"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        jobID = row.text()
        attemptID = row.optionalText()
        kind = try row.word()
        step = row.optionalInteger()
        path = row.text()
        sha256 = row.optionalText()
        bytes = row.long()
        metrics = try row.json()
        pinned = row.flag()
        createdAt = row.timestamp()
        deletedAt = row.optionalTimestamp()
    }
}
