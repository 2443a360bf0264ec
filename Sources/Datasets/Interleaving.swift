/// Several sources whose records are drawn in turn, in proportion to their weights.
public struct Interleaving: Sendable, Equatable {
    /// When the drawing ends.
    public enum Stop: String, Sendable, CaseIterable {
        /// When the first source has no record left.
        case first
        /// When no source has one left; each record stands once.
        case all
        /// When each source was used up once; sources that end earlier start again.
        case oversample
    }

    /// One source.
    public struct Part: Sendable, Equatable {
        public var paths: [String]
        public var weight: Double
        public init(paths: [String], weight: Double = 1) { (self.paths, self.weight) = (paths, weight) }
    }

    public var parts: [Part]
    public var stop: Stop
    public var seed: Int

    public init(parts: [Part], stop: Stop = .all, seed: Int = 42) { (self.parts, self.stop, self.seed) = (parts, stop, seed) }

    /// The order of the records of sources that stand one after the other.
    func order(counts: [Int]) -> [Int] {
        var starts = [0]
        for count in counts { starts.append(starts[starts.count - 1] + count) }
        var next = [Int](repeating: 0, count: counts.count)
        var isActive = counts.map { $0 > 0 }
        var hasEnded = counts.map { $0 == 0 }
        var random = MersenneTwister(seed: seed, stream: RandomStream.interleave)
        var order: [Int] = []
        while hasEnded.contains(false), let part = draw(isActive, &random) {
            order.append(starts[part] + next[part])
            next[part] += 1
            guard next[part] == counts[part] else { continue }
            hasEnded[part] = true
            switch stop {
            case .first: return order
            case .all: isActive[part] = false
            case .oversample: next[part] = 0
            }
        }
        return order
    }

    private func draw(_ isActive: [Bool], _ random: inout MersenneTwister) -> Int? {
        let weights = zip(parts, isActive).map { $1 ? $0.weight : 0 }
        var left = Double(random.bits(53)) / 0x1p53 * weights.reduce(0, +)
        for (part, weight) in weights.enumerated() where weight > 0 {
            left -= weight
            if left < 0 { return part }
        }
        return weights.lastIndex { $0 > 0 }
    }
}
