/// Finds the first of many bins that has room, in logarithmic time.
///
/// The leaves are the bins in the order in which they are opened, each with its free room; an inner node has the larger of its two
/// children's. A bin that is not opened yet is a leaf with the full capacity, so that opening one is the same search: the first leaf
/// with room is a fresh one just when no open bin has any.
struct FirstFitTree {
    private var room: [Int32]
    private let leafCount: Int

    /// A tree for at most `binsMax` bins.
    init(capacity: Int, binsMax: Int) {
        var leafCount = 1
        while leafCount < binsMax { leafCount *= 2 }
        self.leafCount = leafCount
        room = [Int32](repeating: Int32(capacity), count: 2 * leafCount)
    }

    /// The most bins that a first fit of sequences of that total can open.
    ///
    /// Of any two of its bins the later one was opened with a sequence that the earlier had no room for, so both hold more than one
    /// capacity together, and only one bin can be filled by half or less.
    static func binsMax(total: Int, capacity: Int, count: Int) -> Int { max(1, min(count, 2 * total / capacity + 1)) }

    /// Takes `length` off the room of the first bin that has as much, and returns which one that is.
    mutating func place(_ length: Int32) -> Int {
        room.withUnsafeMutableBufferPointer { room in
            var node = 1
            while node < leafCount {
                node *= 2
                if room[node] < length { node += 1 }
            }
            let bin = node - leafCount
            room[node] -= length
            while node > 1 {
                let parent = node / 2
                let best = max(room[node], room[node ^ 1])
                if room[parent] == best { break }
                room[parent] = best
                node = parent
            }
            return bin
        }
    }
}
