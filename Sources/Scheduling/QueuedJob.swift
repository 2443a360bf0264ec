import Domain

/// A job that is ready to run and waits for its turn.
public struct QueuedJob: Sendable, Hashable {
    public var id: String
    public var project = "default"
    /// 0 to 100; higher starts first.
    public var priority: Int
    /// When the job first came into the queue; among equal priorities the older one starts first.
    public var enqueuedAt: Timestamp
    public var request: ResourceRequest
    /// After which it is stopped; `nil` where it may run for ever.
    public var timeLimit: Duration?
    /// True where a job of higher priority may take its resources.
    public var isPreemptible = false
    public var concurrency: ConcurrencyGroup?
    /// True where it stays in the queue until it is released.
    public var isHeld = false
    /// GPUs that this job must not be given.
    public var avoidedGPUs: Set<String> = []
    /// The end of a retry's delay; the job is passed over before it.
    public var notBefore: Timestamp?

    /// Creates a queue entry; the rest can be set after.
    public init(id: String, priority: Int, enqueuedAt: Timestamp, request: ResourceRequest, notBefore: Timestamp? = nil) {
        (self.id, self.priority, self.enqueuedAt, self.request, self.notBefore) = (id, priority, enqueuedAt, request, notBefore)
    }

    func isDelayed(at now: Timestamp) -> Bool { notBefore.map { now < $0 } ?? false }

    /// What jobs have in common of which none can start where one cannot.
    var shape: Shape { Shape(project: project, request: request, avoidedGPUs: avoidedGPUs, group: concurrency?.name) }

    struct Shape: Hashable, Sendable {
        var project: String
        var request: ResourceRequest
        var avoidedGPUs: Set<String>
        var group: String?
    }
}

/// What a running job holds.
public struct Allocation: Sendable, Hashable {
    /// UUIDs, in the order in which the job sees them.
    public var gpus: [String]
    /// The part of its one GPU in thousandths; 0 where its GPUs are whole.
    public var gpuShare = 0
    public var cpus: Int
    public var memoryBytes: Int64
    public var counters: [String: Int] = [:]

    /// Creates an allocation of whole GPUs; the rest can be set after.
    public init(gpus: [String], cpus: Int, memoryBytes: Int64) {
        (self.gpus, self.cpus, self.memoryBytes) = (gpus, cpus, memoryBytes)
    }

    /// GPUs, with a share as its fraction.
    public var gpuCount: Double { gpuShare > 0 ? Double(gpuShare) / 1000 : Double(gpus.count) }
}

/// A job that holds resources.
public struct RunningJob: Sendable, Hashable {
    public var allocation: Allocation
    public var project: String
    public var priority: Int
    public var startedAt: Timestamp
    /// When its time limit ends it; `nil` where it has none.
    public var endsBy: Timestamp?
    public var isPreemptible: Bool
    public var concurrency: ConcurrencyGroup?
    /// Its newest checkpoint of this run.
    public var lastSavedAt: Timestamp?
    /// True where it has been asked to end.
    public var isStopping: Bool

    /// Creates the entry of a job that holds `allocation`.
    public init(
        allocation: Allocation, project: String = "default", priority: Int = 50, startedAt: Timestamp, endsBy: Timestamp? = nil,
        isPreemptible: Bool = false, concurrency: ConcurrencyGroup? = nil, lastSavedAt: Timestamp? = nil, isStopping: Bool = false
    ) {
        self.allocation = allocation
        self.project = project
        self.priority = priority
        self.startedAt = startedAt
        self.endsBy = endsBy
        self.isPreemptible = isPreemptible
        self.concurrency = concurrency
        self.lastSavedAt = lastSavedAt
        self.isStopping = isStopping
    }

    /// GPU-seconds of work that would be lost if it ended now.
    func unsavedWork(at now: Timestamp) -> Double {
        max(allocation.gpuCount, 0.001) * max(0, (now - (lastSavedAt ?? startedAt)).inSeconds)
    }
}

/// What the scheduler wants done.
public enum Decision: Sendable, Hashable {
    /// Start the job on these resources. They are held from now on, until `release`.
    case start(job: String, Allocation)
    /// Ask the job to save and end; what it holds is kept for the other.
    case preempt(job: String, for: String)
}
