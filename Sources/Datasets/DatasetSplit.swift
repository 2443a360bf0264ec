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
    func indexes(count: Int, labels: [String]?) throws(DatasetError) -> [[Int]] {
        let borders = try borders(count: count)
        var random = MersenneTwister(seed: seed, stream: RandomStream.split)
        var order = Array(0..<count)
        random.shuffle(&order)
        if let labels { order = Self.spread(order, labels: labels) }
        var parts: [[Int]] = []
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
    func originalIndexes(count: Int) throws(DatasetError) -> [[Int]] {
        guard parts.count == 2, case .fraction(let share) = parts[0].size else {
            throw DatasetError(.badRequest, "the compatibility mode splits into 'train' and 'validation' by fractions")
        }
        var random = MersenneTwister(seed: seed)
        var order = Array(0..<count)
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
    private static func spread(_ order: [Int], labels: [String]) -> [Int] {
        var sizes: [String: Int] = [:]
        for index in order { sizes[labels[index], default: 0] += 1 }
        var seen: [String: Int] = [:]
        let keyed = order.enumerated().map { rank, index in
            let label = labels[index]
            let position = seen[label, default: 0]
            seen[label] = position + 1
            return (key: (Double(position) + 0.5) / Double(sizes[label] ?? 1), rank: rank, index: index)
        }
        return keyed.sorted { ($0.key, $0.rank) < ($1.key, $1.rank) }.map(\.index)
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
