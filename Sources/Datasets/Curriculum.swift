import Glibc

/// Orders prompts from easy to hard, batch by batch.
///
/// For each batch a target distribution over the levels of pass rates is a Gaussian whose centre moves from the highest level to the
/// lowest. Prompts are drawn to match, limited by what each level still has; what is missing comes from the levels with the most
/// prompts left; the order within a batch is random.
public struct Curriculum: Sendable, Equatable {
    /// Prompts of one batch.
    public var batchSize: Int
    /// Batches to make; `nil` for as many as use up all prompts.
    public var batches: Int?
    /// The standard deviation of the Gaussian, in pass rate.
    public var width: Double
    /// Levels of equal width; `nil` for one level for each pass rate that occurs.
    public var levels: Int?
    public var rateKey: String
    public var seed: Int

    public init(
        batchSize: Int, batches: Int? = nil, width: Double = 0.125, levels: Int? = nil, rateKey: String = "pass_rate", seed: Int = 42
    ) {
        (self.batchSize, self.batches, self.width) = (batchSize, batches, width)
        (self.levels, self.rateKey, self.seed) = (levels, rateKey, seed)
    }

    /// The prompts of all batches, one batch after the other.
    func order(rates: [Double]) -> [Int] {
        guard !rates.isEmpty else { return [] }
        var random = MersenneTwister(seed: seed, stream: RandomStream.curriculum)
        var (centres, pools) = pools(rates)
        for level in pools.indices { random.shuffle(&pools[level]) }
        let all = (rates.count + batchSize - 1) / batchSize
        let count = min(batches ?? all, all)
        var order: [Int] = []
        order.reserveCapacity(min(rates.count, count * batchSize))
        for batch in 0..<count {
            let progress = count > 1 ? Double(batch) / Double(count - 1) : 0
            let centre = (centres.last ?? 0) + ((centres.first ?? 0) - (centres.last ?? 0)) * progress
            let left = pools.map(\.count)
            let amounts = amounts(centre: centre, centres: centres, left: left)
            var drawn: [Int] = []
            for level in pools.indices { drawn += Self.take(amounts[level], from: &pools[level]) }
            random.shuffle(&drawn)
            order += drawn
        }
        return order
    }

    private static func take(_ count: Int, from pool: inout [Int]) -> [Int] {
        let taken = pool.suffix(count)
        pool.removeLast(count)
        return Array(taken)
    }

    /// The levels in ascending order of pass rate, with the prompts of each.
    private func pools(_ rates: [Double]) -> (centres: [Double], pools: [[Int]]) {
        var byLevel: [Double: [Int]] = [:]
        for (index, rate) in rates.enumerated() {
            var centre = rate
            if let levels {
                let bin = min(levels - 1, Int(rate * Double(levels)))
                centre = (Double(bin) + 0.5) / Double(levels)
            }
            byLevel[centre, default: []].append(index)
        }
        let centres = byLevel.keys.sorted()
        return (centres, centres.map { byLevel[$0] ?? [] })
    }

    /// How many prompts each level gives to a batch.
    func amounts(centre: Double, centres: [Double], left: [Int]) -> [Int] {
        let wanted = min(batchSize, left.reduce(0, +))
        // Distances are taken from the nearest level, so that a narrow Gaussian between two levels does not vanish.
        let distances = centres.map { ($0 - centre) * ($0 - centre) }
        let nearest = distances.min() ?? 0
        let weights = distances.map { exp(-($0 - nearest) / (2 * width * width)) }
        let total = weights.reduce(0, +)
        let shares = weights.map { $0 / total * Double(wanted) }
        var amounts = shares.map { Int($0) }
        let rest = wanted - amounts.reduce(0, +)
        let byRemainder = shares.indices.sorted {
            (shares[$1] - shares[$1].rounded(.down), $0) < (shares[$0] - shares[$0].rounded(.down), $1)
        }
        for level in byRemainder.prefix(rest) { amounts[level] += 1 }
        for level in amounts.indices { amounts[level] = min(amounts[level], left[level]) }
        var missing = wanted - amounts.reduce(0, +)
        while missing > 0 {
            var fullest = 0
            // Of equally full levels the easiest gives the prompt.
            for level in left.indices where left[level] - amounts[level] >= left[fullest] - amounts[fullest] { fullest = level }
            amounts[fullest] += 1
            missing -= 1
        }
        return amounts
    }
}
