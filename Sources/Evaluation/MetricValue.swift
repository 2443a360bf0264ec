/// A measured number and how far it may be off by the choice of items.
public struct MetricValue: Sendable, Equatable {
    public var value: Double
    /// The standard error of the mean over items, s/√n with s² = Σ(x−x̄)²/(n−1); `nil` for fewer than two items.
    public var standardError: Double?
    /// The 95 % bootstrap interval over items, where one was computed.
    public var interval: ClosedRange<Double>?

    public init(value: Double, standardError: Double? = nil, interval: ClosedRange<Double>? = nil) {
        self.value = value
        self.standardError = standardError
        self.interval = interval
    }

    /// The mean of `values`, one for each item.
    init?(mean values: [Double]) {
        guard !values.isEmpty else { return nil }
        value = Sums.mean(values)
        standardError = Sums.deviation(values).map { $0 / Double(values.count).squareRoot() }
        interval = nil
    }

    /// The same with a bootstrap interval of the mean of `values`.
    init?(mean values: [Double], seed: UInt64) {
        self.init(mean: values)
        interval = Bootstrap.interval(ofMean: values, seed: seed)
    }
}

/// The accuracies of single runs, a run being the samples of all items with the same number.
public struct RunStatistics: Sendable, Equatable {
    /// The accuracy of each run.
    public var accuracies: [Double]
    /// How far the runs lie apart: the standard deviation of their accuracies, with n − 1.
    public var deviation: Double
    /// `deviation` / √runs: how far their mean may be off by the choice of samples, the items being given.
    public var standardError: Double
    /// The mean over items of the standard deviation of an item's scores, with n − 1.
    public var meanItemDeviation: Double

    /// `nil` for fewer than two runs.
    init?(scores: [[Double]]) {
        guard let runs = scores.first?.count, runs > 1 else { return nil }
        accuracies = (0..<runs).map { run in Sums.mean(scores.map { $0[run] }) }
        deviation = Sums.deviation(accuracies) ?? 0
        standardError = deviation / Double(runs).squareRoot()
        meanItemDeviation = Sums.mean(scores.map { Sums.deviation($0) ?? 0 })
    }

    init(accuracies: [Double], deviation: Double, standardError: Double, meanItemDeviation: Double) {
        self.accuracies = accuracies
        self.deviation = deviation
        self.standardError = standardError
        self.meanItemDeviation = meanItemDeviation
    }
}

enum Sums {
    /// 0 for no values.
    static func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }

    /// The standard deviation with n − 1; `nil` for fewer than two values.
    static func deviation(_ values: [Double]) -> Double? {
        guard values.count > 1 else { return nil }
        let mean = mean(values)
        return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
    }
}
