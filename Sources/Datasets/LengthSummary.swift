/// Lengths, as a histogram whose buckets double, with exact quantiles.
public struct LengthSummary: Sendable, Equatable {
    public private(set) var least = 0
    public private(set) var greatest = 0
    private var sum = 0
    /// `buckets[n]` counts lengths from 2^(n-1) up to but not including 2^n; the first counts zeros.
    public private(set) var buckets: [Int] = []
    /// Four bytes a record.
    private var lengths: [UInt32] = []

    public init() {}

    public var count: Int { lengths.count }

    public mutating func add(_ length: Int) {
        least = count == 0 ? length : min(least, length)
        greatest = max(greatest, length)
        sum += length
        lengths.append(UInt32(clamping: length))
        let bucket = Int.bitWidth - length.leadingZeroBitCount
        if bucket >= buckets.count { buckets += Array(repeating: 0, count: bucket - buckets.count + 1) }
        buckets[bucket] += 1
    }

    /// Not a number where nothing was added.
    public var mean: Double { Double(sum) / Double(count) }

    /// The least lengths that these parts of all do not exceed (nearest rank); zeros where nothing was added.
    public func quantiles(_ parts: [Double]) -> [Int] {
        guard count > 0 else { return parts.map { _ in 0 } }
        let sorted = lengths.sorted()
        return parts.map { Int(sorted[min(count - 1, max(0, Int((Double(count) * $0).rounded(.up)) - 1))]) }
    }
}
