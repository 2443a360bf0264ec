import JSON

/// A registered checkpoint or model.
public struct CheckpointView: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// Null where it was registered from outside.
    @Nullable public var jobID: String?
    /// The attempt that it belongs to.
    @Nullable public var attemptID: String?
    /// The optimizer step; null for a model that was not trained here.
    @Nullable public var step: Int?
    /// The folder on the daemon's machine.
    public var path: String
    /// Size on disk.
    public var bytes: Int64
    /// As the trainer measured at this step.
    public var metrics: OrderedMap<MetricValue>
    /// Retention never removes a pinned checkpoint.
    public var pinned: Bool
    /// The best of its job by the job's checkpoint metric.
    public var best: Bool
    /// RFC 3339, UTC.
    public var createdAt: String
    /// When its files were removed; the entry stays.
    @Nullable public var deletedAt: String?

    enum CodingKeys: String, CodingKey {
        case id
        case jobID = "job_id"
        case attemptID = "attempt_id"
        case step
        case path
        case bytes
        case metrics
        case pinned
        case best
        case createdAt = "created_at"
        case deletedAt = "deleted_at"
    }

    /// Makes one from its parts.
    public init(
        id: String, jobID: String? = nil, attemptID: String? = nil, step: Int? = nil, path: String, bytes: Int64,
        metrics: OrderedMap<MetricValue>, pinned: Bool, best: Bool, createdAt: String, deletedAt: String? = nil
    ) {
        self.id = id
        self.jobID = jobID
        self.attemptID = attemptID
        self.step = step
        self.path = path
        self.bytes = bytes
        self.metrics = metrics
        self.pinned = pinned
        self.best = best
        self.createdAt = createdAt
        self.deletedAt = deletedAt
    }
}
