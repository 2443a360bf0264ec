@testable import Packing

/// The packers as their definitions have them, by looking through all bins: slow, and plainly right.
enum Definition {
    /// First fit of `order` (places in `lengths`).
    static func firstFit(_ order: [Int], lengths: [Int], capacity: Int) -> [[Int]] {
        var bins: [[Int]] = []
        var loads: [Int] = []
        for record in order {
            if let bin = loads.firstIndex(where: { $0 + lengths[record] <= capacity }) {
                bins[bin].append(record)
                loads[bin] += lengths[record]
            } else {
                bins.append([record])
                loads.append(lengths[record])
            }
        }
        return bins
    }

    static func firstFitDecreasing(_ lengths: [Int], capacity: Int) -> [[Int]] {
        firstFit(lengths.indices.sorted { (lengths[$0], $0) > (lengths[$1], $1) }, lengths: lengths, capacity: capacity)
    }

    /// Facts D.1, phase by phase, on lists; `isExact` makes the last phase a true first fit.
    static func modifiedFirstFitDecreasing(_ lengths: [Int], capacity: Int, isExact: Bool) -> [[Int]] {
        let ascending = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        func descending(_ records: [Int]) -> [Int] { records.sorted { (lengths[$0], -$0) > (lengths[$1], -$1) } }
        var mediums = descending(ascending.filter { 2 * lengths[$0] <= capacity && 3 * lengths[$0] > capacity })
        var smalls = ascending.filter { 3 * lengths[$0] <= capacity && 6 * lengths[$0] > capacity }
        let tinies = ascending.filter { 6 * lengths[$0] <= capacity }
        var bins = descending(ascending.filter { 2 * lengths[$0] > capacity }).map { [$0] }
        func room(_ bin: Int) -> Int { capacity - bins[bin].reduce(0) { $0 + lengths[$1] } }
        var withMedium: Set<Int> = []
        for bin in bins.indices {
            guard let place = mediums.firstIndex(where: { lengths[$0] <= room(bin) }) else { continue }
            bins[bin].append(mediums.remove(at: place))
            withMedium.insert(bin)
        }
        for bin in bins.indices.reversed() where !withMedium.contains(bin) && smalls.count >= 2 {
            guard lengths[smalls[0]] + lengths[smalls[1]] <= room(bin) else { continue }
            bins[bin].append(smalls.removeFirst())
            if let place = smalls.lastIndex(where: { lengths[$0] <= room(bin) }) { bins[bin].append(smalls.remove(at: place)) }
        }
        var rest = descending(mediums + smalls + tinies)
        for bin in bins.indices {
            while let place = rest.firstIndex(where: { lengths[$0] <= room(bin) }) { bins[bin].append(rest.remove(at: place)) }
        }
        return bins
            + (isExact ? firstFit(rest, lengths: lengths, capacity: capacity) : worstFit(rest, lengths: lengths, capacity: capacity))
    }

    /// A list of bins kept sorted by load; only the first is looked at.
    private static func worstFit(_ order: [Int], lengths: [Int], capacity: Int) -> [[Int]] {
        var bins: [(load: Int, records: [Int])] = []
        for record in order {
            var bin = (load: 0, records: [Int]())
            if let first = bins.first, first.load + lengths[record] <= capacity { bin = bins.removeFirst() }
            bin.load += lengths[record]
            bin.records.append(record)
            bins.insert(bin, at: bins.firstIndex { $0.load > bin.load } ?? bins.count)
        }
        return bins.map(\.records)
    }
}

/// Random lengths that a seed decides.
struct LengthSource: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }

    /// Lengths from 1 to `capacity`; small capacities and equal lengths are common, as ties are what goes wrong.
    mutating func lengths() -> (lengths: [Int], capacity: Int) {
        let capacity = [1, 2, 5, 6, 7, 12, 30, 64, 100, 1000, 4096].randomElement(using: &self) ?? 1
        let longest = Int.random(in: 1...capacity, using: &self)
        let count = Int.random(in: 1...120, using: &self)
        return ((0..<count).map { _ in Int.random(in: 1...longest, using: &self) }, capacity)
    }
}

/// The bins of SFT lengths.
func bins(
    _ lengths: [Int], _ packer: Packer, capacity: Int, seed: Int = 0, minBinCount: Int? = nil, multiple: Int? = nil
) throws -> [[Int]] {
    let options = PackingOptions(packer: packer, capacity: capacity, seed: seed, minBinCount: minBinCount, binCountMultiple: multiple)
    return try PackingPlan.make(lengths: .sequences(lengths), options: options).bins
}
