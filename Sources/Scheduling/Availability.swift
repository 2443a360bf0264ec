import Domain

/// What nobody holds, GPU by GPU. A value: passes try things on copies.
struct Availability: Sendable {
    let slots: [GPUSlot]
    let indexes: [String: Int]
    /// The product names in lower case.
    private let models: [String]
    /// Pairs that are never given out together: a MIG device and the GPU it is a part of.
    let conflicts: [Int: [Int]]
    /// Thousandths of each GPU that are held.
    private(set) var used: [Int]
    /// GPUs out of use.
    var isUsable: [Bool]
    var cpus: Int
    var memoryBytes: Int64
    var counters: [String: Int]
    /// GPUs of which nothing is held and that may be given out whole.
    private(set) var wholeCount: Int

    init(_ capacity: HostCapacity) {
        slots = capacity.slots
        models = capacity.slots.map { $0.model.lowercased() }
        indexes = Dictionary(capacity.slots.enumerated().map { ($1.uuid, $0) }, uniquingKeysWith: { first, _ in first })
        var conflicts: [Int: [Int]] = [:]
        for (index, slot) in capacity.slots.enumerated() {
            guard let parent = slot.parent.flatMap({ [indexes] in indexes[$0] }) else { continue }
            conflicts[index, default: []].append(parent)
            conflicts[parent, default: []].append(index)
        }
        self.conflicts = conflicts
        used = Array(repeating: 0, count: capacity.slots.count)
        isUsable = Array(repeating: true, count: capacity.slots.count)
        (cpus, memoryBytes, counters) = (capacity.cpus, capacity.memoryBytes, capacity.counters)
        wholeCount = capacity.slots.count
    }

    mutating func take(_ allocation: Allocation) { change(allocation, by: 1) }

    mutating func giveBack(_ allocation: Allocation) { change(allocation, by: -1) }

    private mutating func change(_ allocation: Allocation, by sign: Int) {
        let part = allocation.gpuShare > 0 ? allocation.gpuShare : 1000
        for uuid in allocation.gpus {
            guard let index = indexes[uuid] else { continue }
            let wasWhole = isWhole(index)
            used[index] += sign * part
            wholeCount += (isWhole(index) ? 1 : 0) - (wasWhole ? 1 : 0)
        }
        cpus -= sign * allocation.cpus
        memoryBytes -= Int64(sign) * allocation.memoryBytes
        for (name, units) in allocation.counters { counters[name, default: 0] -= sign * units }
    }

    mutating func setUsable(_ uuid: String, _ isUsable: Bool) {
        guard let index = indexes[uuid] else { return }
        let wasWhole = isWhole(index)
        self.isUsable[index] = isUsable
        wholeCount += (isWhole(index) ? 1 : 0) - (wasWhole ? 1 : 0)
    }

    private func isWhole(_ index: Int) -> Bool { isUsable[index] && used[index] <= 0 }

    /// True where CPUs, memory and counters suffice.
    func hasScalars(for request: ResourceRequest) -> Bool {
        request.cpus <= cpus && request.memoryBytes <= memoryBytes
            && request.counters.allSatisfy { counters[$0.key, default: 0] >= $0.value }
    }

    /// GPUs that the request could be given whole, in index order.
    func wholeCandidates(for request: ResourceRequest, avoiding avoided: Set<String>, excluding reserved: Set<Int>) -> [Int] {
        guard wholeCount >= request.gpus else { return [] }
        let kind = Kind(request, avoiding: avoided)
        return slots.indices.filter { isWhole($0) && !reserved.contains($0) && isOf(kind, $0) && hasNoConflict($0) }
    }

    /// The GPU for a share: one that is shared already and fits best, else a free one.
    func shareCandidate(for request: ResourceRequest, avoiding avoided: Set<String>, excluding reserved: Set<Int>) -> Int? {
        let kind = Kind(request, avoiding: avoided)
        let fitting = slots.indices.filter {
            isUsable[$0] && used[$0] + request.gpuShare <= 1000 && !reserved.contains($0) && isOf(kind, $0) && hasNoConflict($0)
        }
        return fitting.max { (used[$0], -$0) < (used[$1], -$1) }
    }

    /// GPUs, held or not, that may be given out and are of the kind that the request names.
    func usableCount(for request: ResourceRequest, avoiding avoided: Set<String>) -> Int {
        let kind = Kind(request, avoiding: avoided)
        return slots.indices.count { isUsable[$0] && isOf(kind, $0) }
    }

    /// Which GPUs a request accepts, made ready for many looks.
    private struct Kind {
        var memoryBytes: Int64
        var model: String?
        var avoided: Set<String>

        init(_ request: ResourceRequest, avoiding avoided: Set<String>) {
            memoryBytes = request.gpuMemoryBytes
            model = request.gpuModel?.lowercased()
            self.avoided = avoided
        }
    }

    private func isOf(_ kind: Kind, _ index: Int) -> Bool {
        guard slots[index].memoryBytes >= kind.memoryBytes else { return false }
        if let model = kind.model, !models[index].contains(model) { return false }
        return kind.avoided.isEmpty || !kind.avoided.contains(slots[index].uuid)
    }

    private func hasNoConflict(_ index: Int) -> Bool {
        guard !conflicts.isEmpty, let others = conflicts[index] else { return true }
        return others.allSatisfy { used[$0] <= 0 }
    }
}
