/// How records are packed.
public struct PackingOptions: Sendable, Equatable {
    /// The largest capacity; no model has a context as long, and sums of lengths stay far from overflowing.
    public static let capacityMax = 1 << 30

    /// What becomes of a record that is too long.
    public enum Overlong: String, Sendable, CaseIterable {
        /// The packing fails and names the first one.
        case refuse
        /// It is left out of every bin and listed in the plan.
        case drop
    }

    public var packer: Packer
    /// Tokens that a bin holds.
    public var capacity: Int
    /// Decides the order of `first_fit_shuffle`.
    public var seed: Int
    /// There are at least so many bins.
    public var minBinCount: Int?
    /// The number of bins is a multiple of this: of the data-parallel shards, so that each gets as many.
    public var binCountMultiple: Int?
    /// Each sequence takes up a multiple of so many tokens; with context parallelism 2 · CP · TP.
    public var padMultiple: Int
    /// No sequence may have more tokens than this; the capacity where it is `nil`, for pairs half of it.
    public var maxSequenceLength: Int?
    public var overlong: Overlong

    public init(
        packer: Packer = .firstFitDecreasing, capacity: Int, seed: Int = 0, minBinCount: Int? = nil, binCountMultiple: Int? = nil,
        padMultiple: Int = 1, maxSequenceLength: Int? = nil, overlong: Overlong = .refuse
    ) {
        self.packer = packer
        self.capacity = capacity
        self.seed = seed
        self.minBinCount = minBinCount
        self.binCountMultiple = binCountMultiple
        self.padMultiple = padMultiple
        self.maxSequenceLength = maxSequenceLength
        self.overlong = overlong
    }

    /// Throws where no lengths whatever could be packed like this.
    func check(for lengths: PackingLengths) throws(PackingError) {
        try Self.check(capacity, 1...Self.capacityMax, "the capacity")
        try Self.check(padMultiple, 1...Self.capacityMax, "the pad multiple")
        if let minBinCount { try Self.check(minBinCount, 0...Self.capacityMax, "min_bin_count") }
        if let binCountMultiple { try Self.check(binCountMultiple, 1...Self.capacityMax, "bin_count_multiple") }
        guard let maxSequenceLength else { return }
        try Self.check(maxSequenceLength, 1...Self.capacityMax, "the longest sequence allowed")
        if case .pairs = lengths, capacity < 2 * maxSequenceLength {
            let message =
                "a bin of \(capacity) tokens cannot hold two sequences of \(maxSequenceLength): the capacity must be twice as much or more"
            throw PackingError(.badRequest, message)
        }
    }

    private static func check(_ value: Int, _ range: ClosedRange<Int>, _ name: String) throws(PackingError) {
        guard range.contains(value) else {
            throw PackingError(.badRequest, "\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(value)")
        }
    }
}
