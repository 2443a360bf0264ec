/// A project: how much of the machine it may use, and has used.
public struct ProjectView: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// Its part of the machine in proportion to the other projects' weights.
    public var weight: Double
    /// The most GPUs that its jobs may hold at a time; null for no limit.
    @Nullable public var gpuLimit: Int?
    /// The most jobs that may wait; null for no limit.
    @Nullable public var queuedLimit: Int?
    /// The most jobs that may run at a time; null for no limit.
    @Nullable public var runningLimit: Int?
    /// Bytes of what its jobs made, above which no more are accepted; null for no limit.
    @Nullable public var artifactBytesLimit: Int64?
    /// Bytes of what its jobs made and that is there.
    public var artifactBytes: Int64
    /// GPU-seconds, of which past ones count ever less.
    public var usageGPUSeconds: Double
    /// The part of the machine that its weight entitles it to, 0 to 1.
    public var share: Double
    /// GPUs that its jobs hold now, shares as fractions.
    public var gpusInUse: Double
    /// Its jobs that wait.
    public var queued: Int
    /// Its jobs that hold resources.
    public var running: Int

    enum CodingKeys: String, CodingKey {
        case name
        case weight
        case gpuLimit = "gpu_limit"
        case queuedLimit = "queued_limit"
        case runningLimit = "running_limit"
        case artifactBytesLimit = "artifact_bytes_limit"
        case artifactBytes = "artifact_bytes"
        case usageGPUSeconds = "usage_gpu_seconds"
        case share
        case gpusInUse = "gpus_in_use"
        case queued
        case running
    }

    /// Makes one from its parts.
    public init(
        name: String, weight: Double, gpuLimit: Int?, usageGPUSeconds: Double, share: Double, gpusInUse: Double, queued: Int, running: Int,
        queuedLimit: Int? = nil, runningLimit: Int? = nil, artifactBytesLimit: Int64? = nil, artifactBytes: Int64 = 0
    ) {
        self.queuedLimit = queuedLimit
        self.runningLimit = runningLimit
        self.artifactBytesLimit = artifactBytesLimit
        self.artifactBytes = artifactBytes
        self.name = name
        self.weight = weight
        self.gpuLimit = gpuLimit
        self.usageGPUSeconds = usageGPUSeconds
        self.share = share
        self.gpusInUse = gpusInUse
        self.queued = queued
        self.running = running
    }
}

/// The projects, by name.
public struct ProjectsView: Codable, Sendable, Equatable {
    /// Every project that is known.
    public var data: [ProjectView]

    /// Makes one from its parts.
    public init(data: [ProjectView]) { self.data = data }
}

/// What a change does to one of a project's limits.
public enum LimitChange: Sendable, Equatable {
    case keep
    case clear
    case set(Int)

    /// The limit after the change.
    public func applied(to limit: Int?) -> Int? {
        switch self {
        case .keep: limit
        case .clear: nil
        case .set(let value): value
        }
    }
}

/// What a change does to a project's terms; what is left out stays.
public struct ProjectChange: Sendable, Equatable {
    public var weight: Double?
    public var gpus = LimitChange.keep
    public var queued = LimitChange.keep
    public var running = LimitChange.keep
    public var artifactBytes = LimitChange.keep

    /// A change of nothing.
    public init() {}
}
