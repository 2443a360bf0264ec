/// Random numbers that are the same on every machine: SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix64: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number from 0 to `count` − 1. The product's upper half favours no number by more than count / 2⁶⁴.
    mutating func index(below count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }
}

/// Confidence intervals without an assumption on the distribution of scores.
enum Bootstrap {
    /// Resamples that the percentiles are taken from.
    static let resamples = 2000

    /// The interval that holds `confidence` of the means of resamples of `values`: the percentile bootstrap (Efron and Tibshirani 1993,
    /// "An Introduction to the Bootstrap", section 13.3). `nil` for fewer than two values.
    static func interval(
        ofMean values: [Double], confidence: Double = 0.95, resamples: Int = Bootstrap.resamples, seed: UInt64 = 0
    ) -> ClosedRange<Double>? {
        guard let first = values.first, values.count > 1 else { return nil }
        // Spares the drawing, and the rounding of sums that should all be the same.
        if values.allSatisfy({ $0 == first }) { return first...first }
        var generator = SplitMix64(seed: seed)
        var means: [Double] = []
        means.reserveCapacity(resamples)
        for _ in 0..<resamples {
            var sum = 0.0
            for _ in values { sum += values[generator.index(below: values.count)] }
            means.append(sum / Double(values.count))
        }
        means.sort()
        let tail = (1 - confidence) / 2
        return quantile(tail, of: means)...quantile(1 - tail, of: means)
    }

    /// The quantile of sorted values, linear between neighbours: definition 7 of Hyndman and Fan 1996, which NumPy uses.
    static func quantile(_ share: Double, of sorted: [Double]) -> Double {
        guard let last = sorted.last else { return .nan }
        let place = share * Double(sorted.count - 1)
        let index = Int(place)
        guard index + 1 < sorted.count else { return last }
        return sorted[index] + (place - Double(index)) * (sorted[index + 1] - sorted[index])
    }
}
