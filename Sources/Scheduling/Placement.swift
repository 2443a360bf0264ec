import Domain

/// Which of several free GPUs a gang is given.
enum Placement {
    /// `count` of `candidates`: all in one NVLink island where one has room, else all in one NUMA node, else in as few islands as can be.
    ///
    /// Of the groups with room the smallest is taken, so that large ones stay whole for large gangs; ties go to the lower index.
    static func choose(_ count: Int, from candidates: [Int], of slots: [GPUSlot]) -> [Int] {
        guard count > 0 else { return [] }
        if count == 1 { return single(candidates, slots) }
        let islands = groups(candidates) { slots[$0].nvlinkIsland }
        if let island = smallest(islands, holding: count) { return Array(island.prefix(count)) }
        let nodes = groups(candidates) { slots[$0].numaNode }
        if let node = smallest(nodes, holding: count) { return Array(spread(node, count, slots)) }
        return spread(candidates, count, slots)
    }

    /// One GPU from the group that has fewest left, so that it breaks no larger one.
    private static func single(_ candidates: [Int], _ slots: [GPUSlot]) -> [Int] {
        let islands = groups(candidates) { slots[$0].nvlinkIsland ?? slots[$0].numaNode.map { -1 - $0 } }
        guard let smallest = smallest(islands, holding: 1) else { return Array(candidates.prefix(1)) }
        let alone = candidates.first { slots[$0].nvlinkIsland == nil && slots[$0].numaNode == nil }
        return [alone ?? smallest[0]]
    }

    private static func groups(_ candidates: [Int], by key: (Int) -> Int?) -> [[Int]] {
        var groups: [Int: [Int]] = [:]
        for index in candidates {
            if let key = key(index) { groups[key, default: []].append(index) }
        }
        return groups.values.sorted { ($0.count, $0[0]) < ($1.count, $1[0]) }
    }

    private static func smallest(_ groups: [[Int]], holding count: Int) -> [Int]? { groups.first { $0.count >= count } }

    /// The largest islands first, so that the gang is in as few pieces as can be.
    private static func spread(_ candidates: [Int], _ count: Int, _ slots: [GPUSlot]) -> [Int] {
        let islands = groups(candidates) { slots[$0].nvlinkIsland }
        let grouped = islands.reversed().flatMap(\.self)
        let rest = candidates.filter { slots[$0].nvlinkIsland == nil }
        return Array((grouped + rest).prefix(count)).sorted()
    }
}
