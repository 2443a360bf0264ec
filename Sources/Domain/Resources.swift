/// What a job asks of the machine.
public struct ResourceRequest: Sendable, Hashable {
    /// Whole GPUs.
    public var gpus: Int
    /// CPU cores.
    public var cpus: Int
    /// Bytes of main memory; 0 where the job names none and none is accounted.
    public var memoryBytes: Int64

    public init(gpus: Int = 0, cpus: Int = 1, memoryBytes: Int64 = 0) {
        self.gpus = gpus
        self.cpus = cpus
        self.memoryBytes = memoryBytes
    }
}

/// What a machine has.
public struct HostCapacity: Sendable, Hashable {
    /// UUIDs of the GPUs that may be given out, in index order.
    public var gpus: [String]
    public var cpus: Int
    public var memoryBytes: Int64

    public init(gpus: [String], cpus: Int, memoryBytes: Int64) {
        self.gpus = gpus
        self.cpus = cpus
        self.memoryBytes = memoryBytes
    }

    /// Why `request` could not run here even on an idle machine; empty where it could.
    public func shortfalls(of request: ResourceRequest) -> [String] {
        var shortfalls: [String] = []
        if request.gpus > gpus.count { shortfalls.append("asks for \(request.gpus) GPUs; this machine offers \(gpus.count)") }
        if request.cpus > cpus { shortfalls.append("asks for \(request.cpus) CPUs; this machine offers \(cpus)") }
        if request.memoryBytes > memoryBytes {
            shortfalls.append("asks for \(request.memoryBytes) bytes of memory; this machine offers \(memoryBytes)")
        }
        return shortfalls
    }
}
