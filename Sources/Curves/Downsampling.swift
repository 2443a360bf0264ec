extension Points {
    /// The indices of at most `count` values that keep a curve's shape: the first and the last, and of each stretch between them the least
    /// and the greatest, and the first NaN where there is one; in order. `nil` where all may stay. A `count` below 2 is taken as 2.
    public static func kept(_ values: [Double], count: Int) -> [Int]? {
        let count = Swift.max(2, count)
        guard values.count > count else { return nil }
        let inner = values.count - 2
        return values.withUnsafeBufferPointer { values in
            let perBucket = values.contains { $0.isNaN } ? 3 : 2
            let buckets = (count - 2) / perBucket
            var kept = [0]
            kept.reserveCapacity(count)
            for bucket in 0..<buckets {
                let range = (1 + inner * bucket / buckets)..<(1 + inner * (bucket + 1) / buckets)
                kept += extremes(values, range)
            }
            kept.append(values.count - 1)
            return kept
        }
    }

    private static func extremes(_ values: UnsafeBufferPointer<Double>, _ range: Range<Int>) -> [Int] {
        var (low, high, nan) = (-1, -1, -1)
        for index in range {
            let value = values[index]
            if value.isNaN {
                if nan < 0 { nan = index }
            } else {
                if low < 0 || value < values[low] { low = index }
                if high < 0 || value > values[high] { high = index }
            }
        }
        var chosen: [Int] = []
        for index in [low, high, nan] where index >= 0 && !chosen.contains(index) { chosen.append(index) }
        return chosen.sorted()
    }
}
