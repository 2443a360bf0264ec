/// The number of bins that a training loop needs.
struct BinCount {
    var minimum: Int?
    var multiple: Int?

    /// Opens as many bins as are missing, each with one record that was the last of a fuller bin.
    ///
    /// As NeMo RL does it: the bins are taken in descending order of their counts at the start, of equal ones the later first, and each
    /// gives until one record is left in it.
    func adjust(_ bins: [[Int]]) throws(PackingError) -> [[Int]] {
        let target = max(bins.count, minimum ?? 0).roundedUp(to: multiple ?? 1)
        guard target > bins.count else { return bins }
        let recordCount = bins.reduce(0) { $0 + $1.count }
        guard recordCount >= target else {
            let message =
                "cannot make \(target) bins of \(recordCount) sequences, as each bin needs one: lower min_bin_count or bin_count_multiple"
            throw PackingError(.badData, message)
        }
        var adjusted = bins
        var givers = bins.indices.sorted { (bins[$0].count, $0) > (bins[$1].count, $1) }[...]
        while adjusted.count < target, let giver = givers.first {
            if adjusted[giver].count > 1, let record = adjusted[giver].popLast() {
                adjusted.append([record])
            } else {
                givers.removeFirst()
            }
        }
        return adjusted
    }
}
