/// What a job asks of the machine: one way to run, and further ways in the order of preference.
public struct ResourceRequest: Sendable, Hashable {
    /// Whole GPUs, at least so many. 0 where `gpuShare` asks for a part of one.
    public var gpus: Int
    /// The most whole GPUs that the job can use; equal to `gpus` where it wants an exact number.
    public var gpusMax: Int
    /// A part of one GPU in thousandths, 1 to 999; 0 for none. Shares are bookkeeping: the driver does not enforce them.
    public var gpuShare: Int
    /// Bytes that each GPU must have; 0 for any.
    public var gpuMemoryBytes: Int64
    /// What the product name of each GPU must contain, whatever the case of its letters; `nil` for any.
    public var gpuModel: String?
    /// CPU cores.
    public var cpus: Int
    /// Bytes of main memory; 0 where the job names none and none is accounted.
    public var memoryBytes: Int64
    /// Units of the machine's named counters, such as licences.
    public var counters: [String: Int]
    /// Machines of a cluster; GPUs, CPUs and memory are of each of them.
    public var nodes = 1
    /// True where nobody else may use those machines meanwhile.
    public var isExclusive = false
    /// Further ways to run, tried in order where this one does not fit now. Theirs are empty.
    public var alternatives: [ResourceRequest]

    /// Creates a request for an exact number of any GPUs; the rest can be set after.
    public init(gpus: Int = 0, cpus: Int = 1, memoryBytes: Int64 = 0) {
        self.gpus = gpus
        gpusMax = gpus
        gpuShare = 0
        gpuMemoryBytes = 0
        gpuModel = nil
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        counters = [:]
        alternatives = []
    }

    /// Every way to run, the preferred one first.
    public var choices: [ResourceRequest] {
        guard !alternatives.isEmpty else { return [self] }
        var first = self
        first.alternatives = []
        return [first] + alternatives
    }
}

/// A GPU as placement sees it.
public struct GPUSlot: Sendable, Hashable {
    /// The UUID, of a MIG device its own.
    public var uuid: String
    /// The product name, such as `NVIDIA H100 80GB HBM3`.
    public var model: String
    public var memoryBytes: Int64
    /// The NUMA node of its PCI slot; `nil` where unknown.
    public var numaNode: Int?
    /// GPUs of equal number reach each other over NVLink; `nil` where it has none.
    public var nvlinkIsland: Int?
    /// The UUID of the GPU that a MIG device is a part of.
    public var parent: String?

    /// A GPU of unknown make and place; the rest can be set after.
    public init(uuid: String, model: String = "GPU", memoryBytes: Int64 = 80 << 30) {
        (self.uuid, self.model, self.memoryBytes) = (uuid, model, memoryBytes)
    }
}

/// What a machine has.
public struct HostCapacity: Sendable, Hashable {
    /// The GPUs that may be given out, in index order.
    public var slots: [GPUSlot]
    public var cpus: Int
    public var memoryBytes: Int64
    /// Named counters that the operator declared, such as `licences: 4`.
    public var counters: [String: Int]

    /// Creates a capacity.
    public init(slots: [GPUSlot], cpus: Int, memoryBytes: Int64, counters: [String: Int] = [:]) {
        (self.slots, self.cpus, self.memoryBytes, self.counters) = (slots, cpus, memoryBytes, counters)
    }

    /// A machine of equal GPUs.
    public init(gpus: [String], cpus: Int, memoryBytes: Int64) {
        self.init(slots: gpus.map { GPUSlot(uuid: $0) }, cpus: cpus, memoryBytes: memoryBytes)
    }

    /// UUIDs of the GPUs that may be given out, in index order.
    public var gpus: [String] { slots.map(\.uuid) }

    /// Why `request` could not run here even on an idle machine, by its preferred way; empty where it, or one of its alternatives, could.
    public func shortfalls(of request: ResourceRequest) -> [String] {
        let choices = request.choices.map(shortfalls(ofOne:))
        return choices.contains(where: \.isEmpty) ? [] : choices[0]
    }

    private func shortfalls(ofOne request: ResourceRequest) -> [String] {
        var shortfalls: [String] = []
        let wanted = max(request.gpus, request.gpuShare > 0 ? 1 : 0)
        let fitting = slots.count { $0.satisfies(request) }
        if wanted > fitting {
            let kind = request.gpuKind
            shortfalls.append(
                "asks for \(wanted) GPU\(wanted == 1 ? "" : "s")\(kind); this machine offers \(fitting)\(kind.isEmpty ? "" : " such")")
        }
        if request.nodes > 1 { shortfalls.append("asks for \(request.nodes) nodes; this machine is one: name a cluster") }
        if request.cpus > cpus { shortfalls.append("asks for \(request.cpus) CPUs; this machine offers \(cpus)") }
        if request.memoryBytes > memoryBytes {
            shortfalls.append("asks for \(request.memoryBytes) bytes of memory; this machine offers \(memoryBytes)")
        }
        for (name, units) in request.counters.sorted(by: { $0.key < $1.key }) where units > counters[name, default: 0] {
            shortfalls.append("asks for \(units) of '\(name)'; this machine offers \(counters[name, default: 0])")
        }
        return shortfalls
    }
}

extension GPUSlot {
    /// True where the GPU has the memory and the make that `request` asks for.
    public func satisfies(_ request: ResourceRequest) -> Bool {
        guard memoryBytes >= request.gpuMemoryBytes else { return false }
        guard let wanted = request.gpuModel else { return true }
        return model.lowercased().contains(wanted.lowercased())
    }
}

extension ResourceRequest {
    /// What a job that runs on a cluster takes of this machine: named counters alone.
    public var besideCluster: ResourceRequest {
        var request = ResourceRequest(cpus: 0)
        request.counters = counters
        return request
    }

    /// The words that describe which GPUs will do; empty for any.
    public var gpuKind: String {
        var words = gpuModel.map { " of model '\($0)'" } ?? ""
        if gpuMemoryBytes > 0 { words += " with at least \(gpuMemoryBytes) bytes of memory" }
        return words
    }
}
