/// How good a plan is, under the names of NeMo RL (`nemo_rl/data/packing/metrics.py`) and of NeMo 1.x's packing metadata.
public struct PackingStatistics: Sendable, Equatable {
    /// Bars of the histogram of lengths.
    public static let histogramBars = 16

    /// Records in bins; a pair counts once.
    public var sequenceCount: Int
    public var binCount: Int
    /// Room that the sequences take, their padding included.
    public var totalSequenceLength: Int
    /// Padding that the pad multiple adds to sequences.
    public var totalPadding: Int
    public var totalBinCapacity: Int
    public var totalWaste: Int
    public var averageUtilization: Double
    public var wasteRatio: Double
    /// 1 less the deviation of the bins' utilisation relative to its mean; 1 for a single bin.
    public var binBalance: Double
    /// The bins that would do if sequences could be cut.
    public var theoreticalMinBins: Int
    public var binEfficiency: Double
    /// The longest record (`dataset_max_seqlen`), a pair's two sequences together.
    public var maxSequenceLength: Int
    public var maxSequencesPerBin: Int
    public var minBinLoad: Int
    /// Records left out.
    public var droppedCount: Int
    /// Records by the room that they take: bar k counts those in `(k, k + 1] · capacity / 16`.
    public var lengthHistogram: [Int]
    /// Bins by their load, likewise.
    public var loadHistogram: [Int]

    /// Sequences in a bin, on average (`packing_factor`).
    public var sequencesPerBin: Double { Double(sequenceCount) / Double(binCount) }

    /// Measures a plan.
    public init(of plan: PackingPlan) {
        let capacity = plan.options.capacity
        var lengthBars = [Int](repeating: 0, count: Self.histogramBars)
        var loadBars = lengthBars
        func bar(_ length: Int) -> Int { min(Self.histogramBars - 1, (length * Self.histogramBars - 1) / capacity) }
        var loads: [Int] = []
        var tokens = 0
        sequenceCount = 0
        maxSequenceLength = 0
        for bin in plan.bins {
            var load = 0
            for record in bin {
                let room = plan.lengths.room(record, multiple: plan.options.padMultiple)
                load += room
                tokens += plan.lengths.tokens(record)
                maxSequenceLength = max(maxSequenceLength, plan.lengths.tokens(record))
                lengthBars[bar(room)] += 1
            }
            sequenceCount += bin.count
            loadBars[bar(load)] += 1
            loads.append(load)
        }
        binCount = loads.count
        totalSequenceLength = loads.reduce(0, +)
        totalPadding = totalSequenceLength - tokens
        totalBinCapacity = binCount * capacity
        totalWaste = totalBinCapacity - totalSequenceLength
        let mean = Double(totalSequenceLength) / Double(totalBinCapacity)
        averageUtilization = mean
        wasteRatio = Double(totalWaste) / Double(totalBinCapacity)
        if binCount > 1 {
            let squares = loads.reduce(0.0) { sum, load in
                let distance = Double(load) / Double(capacity) - mean
                return sum + distance * distance
            }
            binBalance = 1 - (squares / Double(binCount - 1)).squareRoot() / mean
        } else {
            binBalance = 1
        }
        theoreticalMinBins = totalSequenceLength.roundedUp(to: capacity) / capacity
        binEfficiency = Double(theoreticalMinBins) / Double(binCount)
        maxSequencesPerBin = plan.bins.reduce(0) { max($0, $1.count) }
        minBinLoad = loads.min() ?? 0
        droppedCount = plan.dropped.count
        lengthHistogram = lengthBars
        loadHistogram = loadBars
    }

    /// The global batch size that keeps the number of sequences in a step about the same once bins take the place of sequences.
    ///
    /// That is the old one divided by the sequences in a bin, rounded to the nearest multiple of `multiple` (the data-parallel shards,
    /// as each gets bins one at a time), which must be 1 or more, and not less than one of it.
    public func rescaledGlobalBatchSize(_ globalBatchSize: Int, multipleOf multiple: Int = 1) -> Int {
        precondition(multiple > 0, "a batch is a multiple of at least 1")
        let multiples = (exactGlobalBatchSize(globalBatchSize) / Double(multiple)).rounded(.toNearestOrAwayFromZero)
        return max(1, Int(multiples)) * multiple
    }

    /// The same without rounding.
    public func exactGlobalBatchSize(_ globalBatchSize: Int) -> Double {
        Double(globalBatchSize) * Double(binCount) / Double(sequenceCount)
    }
}

extension PackingPlan {
    /// Measures of the plan.
    public var statistics: PackingStatistics { PackingStatistics(of: self) }
}
