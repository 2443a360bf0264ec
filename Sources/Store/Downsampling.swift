extension [CurvePoint] {
    /// At most `count` points that keep the curve's shape: the first and the last, and of each stretch between them the least
    /// and the greatest, and the first NaN where there is one.
    ///
    /// A `count` below 2 is taken as 2.
    func downsampled(to count: Int) -> [CurvePoint] {
        let count = Swift.max(2, count)
        guard self.count > count, let first, let last else { return self }
        let inner = dropFirst().dropLast()
        let perBucket = inner.contains { $0.value.isNaN } ? 3 : 2
        let buckets = (count - 2) / perBucket
        var kept = [first]
        for bucket in 0..<buckets {
            let start = inner.startIndex + inner.count * bucket / buckets
            let end = inner.startIndex + inner.count * (bucket + 1) / buckets
            kept += inner[start..<end].extremes
        }
        kept.append(last)
        return kept
    }
}

extension ArraySlice<CurvePoint> {
    /// The least, the greatest and the first NaN, in the order in which they stand.
    fileprivate var extremes: [CurvePoint] {
        let numbers = indices.filter { !self[$0].value.isNaN }
        var chosen: Set<Int> = []
        if let least = numbers.min(by: { self[$0].value < self[$1].value }) { chosen.insert(least) }
        if let greatest = numbers.max(by: { self[$0].value < self[$1].value }) { chosen.insert(greatest) }
        if let nan = firstIndex(where: { $0.value.isNaN }) { chosen.insert(nan) }
        return chosen.sorted().map { self[$0] }
    }
}
