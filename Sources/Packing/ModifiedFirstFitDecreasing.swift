/// Johnson and Garey's modified first-fit decreasing (1985), as NeMo RL orders it (`nemo_rl/data/packing/algorithms.py`).
///
/// The classes are large (above C/2), medium (above C/3), small (above C/6) and tiny. Upstream looks through lists; the same choices are
/// made here by search, in O(n log n).
struct ModifiedFirstFitDecreasing {
    /// A bin while it is filled.
    private struct Bin {
        var records: [Int]
        var room: Int
        var hasMedium = false

        init(_ item: PackingItem, capacity: Int) {
            records = [item.record]
            room = capacity - item.length
        }

        mutating func add(_ item: PackingItem) {
            records.append(item.record)
            room -= item.length
        }
    }

    let capacity: Int
    /// True for a first fit of what is left over, false for upstream's way.
    let isExact: Bool

    /// Packs the items; they must be in the order of their records.
    func pack(_ items: [PackingItem]) -> [[Int]] {
        // Of equal lengths the earlier record comes first: Python's sort keeps their order, in reverse too.
        let sorted = FirstFit.descending(items.map(Self.mirrored)).map(Self.mirrored)
        let large = sorted.prefix { 2 * $0.length > capacity }
        let medium = sorted[large.endIndex...].prefix { 3 * $0.length > capacity }
        let small = sorted[medium.endIndex...].prefix { 6 * $0.length > capacity }
        let tiny = sorted[small.endIndex...]

        var bins = large.map { Bin($0, capacity: capacity) }
        var mediums = RemainingItems(Array(medium))
        for index in bins.indices {
            guard let item = mediums.takeFirst(notLongerThan: bins[index].room) else { continue }
            bins[index].add(item)
            bins[index].hasMedium = true
        }
        var smalls = RemainingItems(Self.byAscendingSort(small))
        for index in bins.indices.reversed() where !bins[index].hasMedium { addPair(of: &smalls, to: &bins[index]) }

        let leftSmalls = Self.byAscendingSort(smalls.left)
        var rest = RemainingItems(mediums.left + leftSmalls + tiny)
        for index in bins.indices {
            while let item = rest.takeFirst(notLongerThan: bins[index].room) { bins[index].add(item) }
        }
        let last = isExact ? FirstFit.pack(rest.left, capacity: capacity) : leastLoaded(rest.left)
        return bins.map(\.records) + last
    }

    /// The item with its record counted from the other end, which turns the order of equal lengths around.
    private static func mirrored(_ item: PackingItem) -> PackingItem {
        PackingItem(record: Int(UInt32.max) - item.record, length: item.length)
    }

    /// Upstream has its smalls in ascending order, equal ones by record, and takes from both ends: seen from the long end the later of
    /// two equal ones comes first. The same swap leads back.
    private static func byAscendingSort(_ items: some Sequence<PackingItem>) -> [PackingItem] {
        var result: [PackingItem] = []
        var run: [PackingItem] = []
        for item in items {
            if let first = run.first, first.length != item.length {
                result += run.reversed()
                run = []
            }
            run.append(item)
        }
        return result + run.reversed()
    }

    /// The shortest small and the longest that fits beside it, where the two shortest fit together.
    private func addPair(of smalls: inout RemainingItems, to bin: inout Bin) {
        guard smalls.count >= 2, smalls.shortest.length + smalls.secondShortest.length <= bin.room else { return }
        bin.add(smalls.takeShortest())
        if let second = smalls.takeFirst(notLongerThan: bin.room) { bin.add(second) }
    }

    /// Upstream's last phase: into the bin with the least in it, of equal ones the one that has been so for longest; the bins come out in
    /// that order. Its comment calls this first fit, but it is worst fit.
    private func leastLoaded(_ items: [PackingItem]) -> [[Int]] {
        var bins = LoadQueue()
        for item in items { bins.place(item, capacity: capacity) }
        return bins.sorted
    }
}

/// Bins in a binary heap by their load, of equal ones the one that changed first.
private struct LoadQueue {
    private struct Bin {
        var records: [Int]
        var load: Int
        var change: Int

        func comes(before other: Bin) -> Bool { (load, change) < (other.load, other.change) }
    }

    private var heap: [Bin] = []
    private var changes = 0

    /// The records of each bin, in the order of the queue.
    var sorted: [[Int]] { heap.sorted { $0.comes(before: $1) }.map(\.records) }

    /// Puts the item into the first bin, or into a new one where it does not fit.
    mutating func place(_ item: PackingItem, capacity: Int) {
        changes += 1
        if let first = heap.first, first.load + item.length <= capacity {
            heap[0].records.append(item.record)
            heap[0].load += item.length
            heap[0].change = changes
            sink()
        } else {
            heap.append(Bin(records: [item.record], load: item.length, change: changes))
            rise()
        }
    }

    private mutating func sink() {
        var position = 0
        while true {
            var least = position
            for child in [2 * position + 1, 2 * position + 2] where child < heap.count && heap[child].comes(before: heap[least]) {
                least = child
            }
            if least == position { return }
            heap.swapAt(position, least)
            position = least
        }
    }

    private mutating func rise() {
        var position = heap.count - 1
        while position > 0, heap[position].comes(before: heap[(position - 1) / 2]) {
            heap.swapAt(position, (position - 1) / 2)
            position = (position - 1) / 2
        }
    }
}
