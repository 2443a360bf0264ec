import Domain

/// What nobody holds at some point of a scheduling pass.
struct FreeResources: Sendable, Hashable {
    /// UUIDs in the machine's order.
    var gpus: [String]
    var cpus: Int
    var memoryBytes: Int64

    func fits(_ request: ResourceRequest) -> Bool {
        request.gpus <= gpus.count && request.cpus <= cpus && request.memoryBytes <= memoryBytes
    }

    /// Takes what `request` asks; the first GPUs in order. Only where it fits.
    mutating func take(_ request: ResourceRequest) -> [String] {
        let taken = Array(gpus.prefix(request.gpus))
        gpus.removeFirst(taken.count)
        cpus -= request.cpus
        memoryBytes -= request.memoryBytes
        return taken
    }

    /// Sets aside for `request` as much of what it asks as there is.
    mutating func reserve(_ request: ResourceRequest) {
        gpus.removeLast(min(gpus.count, request.gpus))
        cpus = max(0, cpus - request.cpus)
        memoryBytes = max(0, memoryBytes - request.memoryBytes)
    }

    /// True where not even the smallest job fits: every job asks for a CPU at least, or for nothing that is counted.
    var isExhausted: Bool { cpus <= 0 }
}
