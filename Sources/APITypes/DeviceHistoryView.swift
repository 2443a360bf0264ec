/// What the machine's devices read over some time.
public struct DeviceHistoryView: Codable, Sendable, Equatable {
    /// One GPU; the arrays are equally long, and hold null where the device gave nothing.
    public struct GPU: Codable, Sendable, Equatable {
        /// Its UUID.
        public var id: String
        public var index: Int
        public var name: String
        /// True for a device that does not exist, whose readings are made up.
        public var simulated: Bool
        /// Seconds since 1970.
        public var times: [Double]
        /// Part of the time in which a kernel ran, 0 to 1.
        public var utilization: [Double?]
        public var memoryBytes: [Double?]
        public var powerWatts: [Double?]
        /// Degrees Celsius.
        public var temperature: [Double?]

        enum CodingKeys: String, CodingKey {
            case id, index, name, simulated, times, utilization
            case memoryBytes = "memory_bytes"
            case powerWatts = "power_watts"
            case temperature = "temperature_celsius"
        }

        /// Makes one from its parts.
        public init(
            id: String, index: Int, name: String, simulated: Bool, times: [Double], utilization: [Double?], memoryBytes: [Double?],
            powerWatts: [Double?], temperature: [Double?]
        ) {
            self.id = id
            self.index = index
            self.name = name
            self.simulated = simulated
            self.times = times
            self.utilization = utilization
            self.memoryBytes = memoryBytes
            self.powerWatts = powerWatts
            self.temperature = temperature
        }
    }

    /// The host.
    public struct Host: Codable, Sendable, Equatable {
        /// Seconds since 1970.
        public var times: [Double]
        /// Part of all cores' time in which something ran, 0 to 1.
        public var cpu: [Double?]
        /// In use by programs.
        public var memoryBytes: [Double]

        enum CodingKeys: String, CodingKey {
            case times, cpu
            case memoryBytes = "memory_bytes"
        }

        /// Makes one from its parts.
        public init(times: [Double], cpu: [Double?], memoryBytes: [Double]) {
            self.times = times
            self.cpu = cpu
            self.memoryBytes = memoryBytes
        }
    }

    public var gpus: [GPU]
    public var host: Host

    /// Makes one from its parts.
    public init(gpus: [GPU], host: Host) {
        self.gpus = gpus
        self.host = host
    }
}

/// GPU-hours by project, experiment or job.
public struct UsageView: Codable, Sendable, Equatable {
    /// One of those.
    public struct Row: Codable, Sendable, Equatable {
        /// The project's name, or an identifier.
        public var name: String
        /// Hours for which GPUs were held; shares count as parts.
        public var gpuHours: Double
        /// Of them, those in which the GPU did nothing.
        public var idleGPUHours: Double
        public var attempts: Int

        enum CodingKeys: String, CodingKey {
            case name, attempts
            case gpuHours = "gpu_hours"
            case idleGPUHours = "idle_gpu_hours"
        }

        /// Makes one from its parts.
        public init(name: String, gpuHours: Double, idleGPUHours: Double, attempts: Int) {
            self.name = name
            self.gpuHours = gpuHours
            self.idleGPUHours = idleGPUHours
            self.attempts = attempts
        }
    }

    /// `project`, `experiment` or `job`.
    public var by: String
    /// The most first.
    public var data: [Row]

    /// Makes one from its parts.
    public init(by: String, data: [Row]) {
        self.by = by
        self.data = data
    }
}
