/// A cluster of the daemon's configuration, as `GET /v1/clusters` gives it.
public struct ClusterView: Codable, Sendable, Equatable {
    /// What specs call it.
    public var name: String
    /// What runs the jobs there, such as `slurm`.
    public var executor: String
    /// The partition that jobs are submitted to; null for the cluster's own choice.
    @Nullable public var partition: String?
    /// How long an allocation lasts; null where the partition decides.
    @Nullable public var timeLimitSeconds: Double?
    /// GPUs of a node; null where it is not known.
    @Nullable public var gpusPerNode: Int?
    /// Jobs that wait in the cluster's queue.
    public var queued: Int
    /// Jobs that run there.
    public var running: Int
    /// Since when it has not answered, RFC 3339; null while it does.
    @Nullable public var silentSince: String?
    /// What came instead of an answer.
    @Nullable public var message: String?

    enum CodingKeys: String, CodingKey {
        case name
        case executor
        case partition
        case timeLimitSeconds = "time_limit_seconds"
        case gpusPerNode = "gpus_per_node"
        case queued
        case running
        case silentSince = "silent_since"
        case message
    }

    /// Makes one from its parts.
    public init(name: String, executor: String, queued: Int, running: Int) {
        (self.name, self.executor, self.queued, self.running) = (name, executor, queued, running)
    }
}

/// The answer of `GET /v1/clusters`.
public struct ClustersView: Codable, Sendable, Equatable {
    /// By name.
    public var data: [ClusterView]

    /// Makes one from its parts.
    public init(data: [ClusterView]) { self.data = data }
}
