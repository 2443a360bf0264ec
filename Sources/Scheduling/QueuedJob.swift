import Domain

/// A job that is ready to run and waits for its turn.
public struct QueuedJob: Sendable, Hashable {
    public var id: String
    /// 0 to 100; higher starts first.
    public var priority: Int
    /// When the job came into the queue; among equal priorities the older one starts first.
    public var enqueuedAt: Timestamp
    public var request: ResourceRequest
    /// The end of a retry's delay; the job is passed over before it.
    public var notBefore: Timestamp?

    /// Creates a queue entry.
    public init(id: String, priority: Int, enqueuedAt: Timestamp, request: ResourceRequest, notBefore: Timestamp? = nil) {
        (self.id, self.priority, self.enqueuedAt, self.request, self.notBefore) = (id, priority, enqueuedAt, request, notBefore)
    }

    /// The order of the queue: priority, then age, then id, which makes it total.
    func precedes(_ other: QueuedJob) -> Bool {
        if priority != other.priority { return priority > other.priority }
        if enqueuedAt != other.enqueuedAt { return enqueuedAt < other.enqueuedAt }
        return id < other.id
    }

    func isDelayed(at now: Timestamp) -> Bool { notBefore.map { now < $0 } ?? false }
}

/// What a running job holds.
public struct Allocation: Sendable, Hashable {
    /// UUIDs, in the order in which the job sees them.
    public var gpus: [String]
    public var cpus: Int
    public var memoryBytes: Int64

    /// Creates an allocation.
    public init(gpus: [String], cpus: Int, memoryBytes: Int64) {
        (self.gpus, self.cpus, self.memoryBytes) = (gpus, cpus, memoryBytes)
    }
}

/// What the scheduler wants done.
public enum Decision: Sendable, Hashable {
    /// Start the job on these GPUs. Its resources are held from now on, until `release`.
    case start(job: String, gpus: [String])
}
