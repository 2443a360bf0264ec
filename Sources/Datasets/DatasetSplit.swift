/// The division of a dataset into parts.
public struct DatasetSplit: Sendable, Equatable {
    /// The size of a part.
    public enum Size: Sendable, Equatable {
        /// A share of all records, above 0 and at most 1.
        case fraction(Double)
        case count(Int)
    }

    /// One part of a split: its name and its size.
    public struct Part: Sendable, Equatable {
        public var name: String
        public var size: Size

        public init(name: String, size: Size) {
            self.name = name
            self.size = size
        }
    }

    public var parts: [Part]
    public var seed: Int

    public init(parts: [Part], seed: Int) {
        self.parts = parts
        self.seed = seed
    }

    /// Indexes of the records of each part.
    ///
    /// The stream of random numbers is none that another step draws from. With `labels`, one for each record, every label is
    /// spread over the parts in proportion.
    func indexes(count: Int, labels: [UInt16]?) throws(DatasetError) -> [[UInt32]] {
        let borders = try borders(count: count)
        var random = MersenneTwister(seed: seed, stream: RandomStream.split)
        var order = Array(0..<UInt32(count))
        random.shuffle(&order)
        if let labels { order = Self.spread(order, labels: labels) }
        var parts: [[UInt32]] = []
        for (part, range) in zip(self.parts, borders) {
            var indexes = Array(order[range])
            if indexes.isEmpty {
                throw DatasetError(.badData, "the split leaves '\(part.name)' without records: there are only \(count)")
            }
            // Spreading has put the labels in turn; the order within a part must not show that.
            if labels != nil { random.shuffle(&indexes) }
            parts.append(indexes)
        }
        return parts
    }

    /// As the original: its generator is seeded as the one of the rebalancing, the first part is the floor of its share and the
    /// second the rest.
    func originalIndexes(count: Int) throws(DatasetError) -> [[UInt32]] {
        guard parts.count == 2, case .fraction(let share) = parts[0].size else {
            throw DatasetError(.badRequest, "the compatibility mode splits into 'train' and 'validation' by fractions")
        }
        var random = MersenneTwister(seed: seed)
        var order = Array(0..<UInt32(count))
        random.shuffle(&order)
        let border = Int(share * Double(count))
        return [Array(order[..<border]), Array(order[border...])]
    }

    private func borders(count: Int) throws(DatasetError) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = 0
        var share = 0.0
        for part in parts {
            let end: Int
            switch part.size {
            case .fraction(let fraction):
                share += fraction
                // Sums such as 0.7 + 0.2 + 0.1 miss 1 by a rounding error that must not cost a record.
                end = min(count, Int(share * Double(count) + 1e-6))
            case .count(let wanted):
                end = start + wanted
            }
            guard end <= count else {
                throw DatasetError(.badData, "the split asks for \(end) records or more; there are \(count)")
            }
            ranges.append(start..<end)
            start = end
        }
        return ranges
    }

    /// Sorts so that any run of the result holds each label in proportion, within one record.
    ///
    /// Of a label with n records the k-th stands at (k + ½) / n of the way; at equal places the record that came first is first.
    private static func spread(_ order: [UInt32], labels: [UInt16]) -> [UInt32] {
        var sizes = [Int](repeating: 0, count: Int(labels.max() ?? 0) + 1)
        for label in labels { sizes[Int(label)] += 1 }
        // The ranks of each label's records, one label after the other.
        var ends: [Int] = []
        for size in sizes { ends.append((ends.last ?? 0) + size) }
        let starts = zip(ends, sizes).map { $0 - $1 }
        var next = starts
        var ranks = [UInt32](repeating: 0, count: order.count)
        for (rank, index) in order.enumerated() {
            let label = Int(labels[Int(index)])
            ranks[next[label]] = UInt32(rank)
            next[label] += 1
        }
        next = starts
        var heads = LabelHeads(
            sizes.indices.filter { sizes[$0] > 0 }.map {
                LabelHeads.Head(label: $0, place: 0.5 / Double(sizes[$0]), rank: ranks[starts[$0]])
            })
        return order.indices.map { _ in
            let head = heads.first
            let label = head.label
            next[label] += 1
            let position = next[label] - starts[label]
            if next[label] < ends[label] {
                let place = (Double(position) + 0.5) / Double(sizes[label])
                heads.replaceFirst(with: .init(label: label, place: place, rank: ranks[next[label]]))
            } else {
                heads.removeFirst()
            }
            return order[Int(head.rank)]
        }
    }
}

/// The next record of each label, the earliest first: a binary heap.
private struct LabelHeads {
    struct Head {
        var label: Int
        var place: Double
        var rank: UInt32

        static func < (a: Head, b: Head) -> Bool { (a.place, a.rank) < (b.place, b.rank) }
    }

    private var heap: [Head]

    init(_ heads: [Head]) { heap = heads.sorted(by: <) }

    var first: Head { heap[0] }

    mutating func replaceFirst(with head: Head) {
        heap[0] = head
        sink()
    }

    mutating func removeFirst() {
        let last = heap.removeLast()
        if !heap.isEmpty { replaceFirst(with: last) }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}

/// Numbers of the streams that steps draw from, so that equal seeds of two steps do not give equal orders.
enum RandomStream {
    static let shuffle: UInt32 = 1
    static let sample: UInt32 = 2
    static let split: UInt32 = 3
    static let generator: UInt32 = 4
    static let minHash: UInt32 = 5
    static let pairs: UInt32 = 6
    static let curriculum: UInt32 = 7
    static let toggle: UInt32 = 8
    static let interleave: UInt32 = 9
}
