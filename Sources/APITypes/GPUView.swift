/// The GPUs of the machine, and what of its CPUs and memory is given out.
public struct GPUInventoryView: Codable, Sendable, Equatable {
    /// `nvml`, `none` or `simulated`.
    public var source: String
    /// Why there are none, or that they are simulated.
    @Nullable public var message: String?
    /// Every GPU, in index order.
    public var data: [GPUView]
    /// CPU cores.
    public var cpus: CapacityView
    /// Main memory.
    public var memoryBytes: CapacityView

    enum CodingKeys: String, CodingKey {
        case source
        case message
        case data
        case cpus
        case memoryBytes = "memory_bytes"
    }

    /// Makes one from its parts.
    public init(source: String, message: String? = nil, data: [GPUView], cpus: CapacityView, memoryBytes: CapacityView) {
        self.source = source
        self.message = message
        self.data = data
        self.cpus = cpus
        self.memoryBytes = memoryBytes
    }
}

/// What there is and what attempts hold of it.
public struct CapacityView: Codable, Sendable, Equatable {
    /// All there is.
    public var total: Int64
    /// Given out to attempts.
    public var held: Int64

    enum CodingKeys: String, CodingKey {
        case total
        case held
    }

    /// Makes one from its parts.
    public init(total: Int64, held: Int64) {
        self.total = total
        self.held = held
    }
}

/// One GPU.
public struct GPUView: Codable, Sendable, Equatable {
    /// The driver's number for it.
    public var index: Int
    /// The name that does not change over restarts.
    public var uuid: String
    /// Its name.
    public var name: String
    /// Of the device.
    public var memoryBytes: Int64
    /// Readings are null where the device gives none.
    @Nullable public var memoryUsedBytes: Int64?
    /// Percent, over the device's last sampling period.
    @Nullable public var utilization: Double?
    /// Degrees Celsius.
    @Nullable public var temperature: Double?
    /// Drawn now.
    @Nullable public var powerWatts: Double?
    /// True for a device that does not exist.
    public var simulated: Bool
    /// `free`; `held` by an attempt; `busy` with a process that is not Anneal's.
    public var state: String
    /// `healthy`, `drained`, `faulty` or `busy_foreign`.
    public var health = "healthy"
    /// Why it may not be given out.
    @Nullable public var healthReason: String?
    /// The NUMA node of its slot.
    @Nullable public var numaNode: Int?
    /// GPUs of equal number reach each other over NVLink.
    @Nullable public var nvlinkIsland: Int?
    /// The GPU that a MIG device is a part of.
    @Nullable public var parent: String?
    /// The part of it that is given out, 0 to 1.
    public var share = 0.0
    /// Every job that holds it or a part of it.
    public var holders: [GPUHolderView] = []
    /// The job that holds it; the first of several.
    @Nullable public var jobID: String?
    /// The attempt that it belongs to.
    @Nullable public var attemptID: String?

    enum CodingKeys: String, CodingKey {
        case index
        case uuid
        case name
        case memoryBytes = "memory_bytes"
        case memoryUsedBytes = "memory_used_bytes"
        case utilization
        case temperature
        case powerWatts = "power_watts"
        case simulated
        case state
        case health
        case healthReason = "health_reason"
        case numaNode = "numa_node"
        case nvlinkIsland = "nvlink_island"
        case parent
        case share
        case holders
        case jobID = "job_id"
        case attemptID = "attempt_id"
    }

    /// Makes one from its parts.
    public init(
        index: Int, uuid: String, name: String, memoryBytes: Int64, memoryUsedBytes: Int64? = nil, utilization: Double? = nil,
        temperature: Double? = nil, powerWatts: Double? = nil, simulated: Bool, state: String, jobID: String? = nil,
        attemptID: String? = nil
    ) {
        self.index = index
        self.uuid = uuid
        self.name = name
        self.memoryBytes = memoryBytes
        self.memoryUsedBytes = memoryUsedBytes
        self.utilization = utilization
        self.temperature = temperature
        self.powerWatts = powerWatts
        self.simulated = simulated
        self.state = state
        self.jobID = jobID
        self.attemptID = attemptID
    }
}

/// A job that holds a GPU or a part of one.
public struct GPUHolderView: Codable, Sendable, Equatable {
    /// The job.
    public var jobID: String
    /// Its attempt; null for a moment at its start.
    @Nullable public var attemptID: String?
    /// 1 for the whole GPU.
    public var share: Double

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case attemptID = "attempt_id"
        case share
    }

    /// Makes one from its parts.
    public init(jobID: String, attemptID: String?, share: Double) {
        self.jobID = jobID
        self.attemptID = attemptID
        self.share = share
    }
}
