/// Packers that look at one sequence after the other.
enum FirstFit {
    /// In the given order; a bin is closed when the next item does not fit.
    static func concatenate(_ items: [PackingItem], capacity: Int) -> [[Int]] {
        var bins: [[Int]] = []
        var load = capacity
        for item in items {
            if load + item.length > capacity {
                bins.append([])
                load = 0
            }
            bins[bins.count - 1].append(item.record)
            load += item.length
        }
        return bins
    }

    /// Each item, in the given order, into the first bin that has room for it.
    static func pack(_ items: [PackingItem], capacity: Int) -> [[Int]] {
        let total = items.reduce(0) { $0 + $1.length }
        var tree = FirstFitTree(
            capacity: capacity, binsMax: FirstFitTree.binsMax(total: total, capacity: capacity, count: items.count))
        var bins: [[Int]] = []
        for item in items {
            let bin = tree.place(Int32(item.length))
            if bin == bins.count { bins.append([]) }
            bins[bin].append(item.record)
        }
        return bins
    }

    /// The items by descending length; of equal ones those with the higher record first, as Python sorts (length, index) in reverse.
    static func descending(_ items: [PackingItem]) -> [PackingItem] {
        // Length and record in one number, which sorts several times faster than a pair.
        var keys = items.map { UInt64($0.length) << 32 | UInt64($0.record) }
        keys.sort(by: >)
        return keys.map { PackingItem(record: Int($0 & 0xFFFF_FFFF), length: Int($0 >> 32)) }
    }
}

/// A record that is to be packed, and the room it takes.
struct PackingItem: Sendable, Hashable {
    var record: Int
    var length: Int
}
