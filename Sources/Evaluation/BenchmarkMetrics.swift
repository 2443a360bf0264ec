/// One graded response.
public struct GradedSample: Sendable, Equatable {
    /// `nil` where the response held no answer.
    public var answer: String?
    /// From 0 to 1.
    public var score: Double
    /// Generated tokens; `nil` where the server did not tell.
    public var tokens: Int?
    /// True where the response ended at the limit of tokens.
    public var isTruncated: Bool

    public init(answer: String?, score: Double, tokens: Int? = nil, isTruncated: Bool = false) {
        self.answer = answer
        self.score = score
        self.tokens = tokens
        self.isTruncated = isTruncated
    }
}

/// A measured number and how far it may be off by the choice of items.
public struct MetricValue: Sendable, Equatable {
    public var value: Double
    /// The standard error of the mean over items; `nil` for fewer than two items.
    public var standardError: Double?

    public init(value: Double, standardError: Double? = nil) {
        self.value = value
        self.standardError = standardError
    }

    /// The mean of `values`, one for each item.
    init?(mean values: [Double]) {
        guard !values.isEmpty else { return nil }
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        value = mean
        standardError = nil
        if values.count > 1 {
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            standardError = (squares / (count - 1) / count).squareRoot()
        }
    }
}

/// Metrics over the items of a benchmark, each with the same number of samples.
///
/// Definitions follow NeMo-Skills after August 2025: the unbiased pass@k, and majority votes whose ties give the mean score of the
/// tied answers. Values are shares from 0 to 1.
public struct BenchmarkMetrics: Sendable {
    private let items: [[GradedSample]]
    /// Samples of each item.
    public let samples: Int

    /// `nil` where there is no item, or where items have different numbers of samples.
    public init?(items: [[GradedSample]]) {
        guard let samples = items.first?.count, samples > 0, items.allSatisfy({ $0.count == samples }) else { return nil }
        self.items = items
        self.samples = samples
    }

    /// The mean score of each item.
    public var itemScores: [Double] { items.map { Self.mean($0.map(\.score)) } }

    /// The mean over the first `k` samples of each item.
    public func meanOfFirst(_ k: Int) -> MetricValue? {
        MetricValue(mean: items.map { item in Self.mean(item.prefix(k).map(\.score)) })
    }

    /// The chance that at least one of `k` samples is right: 1 − C(n−c, k) / C(n, k) where scores are 0 or 1, otherwise the best of
    /// the first `k`.
    public func pass(at k: Int) -> MetricValue? {
        MetricValue(mean: items.map { Self.pass($0.map(\.score), at: k) })
    }

    /// The score of the most common answer among the first `k` samples.
    public func majority(at k: Int) -> MetricValue? {
        MetricValue(mean: items.map { Self.majority($0.prefix(k)) })
    }

    /// The share of samples without an answer.
    public var noAnswer: MetricValue? {
        MetricValue(mean: items.map { item in Self.mean(item.map { $0.answer == nil ? 1 : 0 }) })
    }

    /// The share of items without an answer in any sample.
    public var noAnswerInAny: MetricValue? {
        MetricValue(mean: items.map { item in item.allSatisfy { $0.answer == nil } ? 1 : 0 })
    }

    /// Generated tokens of a sample, rounded down; `nil` where the server did not tell for all.
    public var averageTokens: MetricValue? {
        let means = items.map { item -> Double? in
            let tokens = item.compactMap(\.tokens)
            return tokens.count == item.count ? Self.mean(tokens.map(Double.init)) : nil
        }
        guard var metric = MetricValue(mean: means.compactMap(\.self)), means.allSatisfy({ $0 != nil }) else { return nil }
        metric.value = metric.value.rounded(.down)
        return metric
    }

    /// The share of samples that ended at the limit of tokens.
    public var truncated: MetricValue? {
        MetricValue(mean: items.map { item in Self.mean(item.map { $0.isTruncated ? 1 : 0 }) })
    }

    /// All metrics under their names, in the order of a report.
    public func all() -> [(name: String, metric: MetricValue)] {
        var list: [(String, MetricValue?)] = [("accuracy", meanOfFirst(samples))]
        if samples > 1 {
            for k in 1...samples { list.append(("pass@\(k)", pass(at: k))) }
            for k in 1...samples { list.append(("majority@\(k)", majority(at: k))) }
        }
        list.append(("no_answer", noAnswer))
        if samples > 1 { list.append(("no_answer@\(samples)", noAnswerInAny)) }
        list.append(("truncated", truncated))
        list.append(("avg_tokens", averageTokens))
        return list.compactMap { name, metric in metric.map { (name: name, metric: $0) } }
    }

    private static func mean(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count) }

    private static func pass(_ scores: [Double], at k: Int) -> Double {
        guard scores.allSatisfy({ $0 == 0 || $0 == 1 }) else { return scores.prefix(k).max() ?? 0 }
        let wrong = scores.count { $0 == 0 }
        guard wrong >= k else { return 1 }
        // C(n−c, k) / C(n, k) as a product, so that no factorial overflows.
        return 1 - (0..<k).reduce(1.0) { $0 * Double(wrong - $1) / Double(scores.count - $1) }
    }

    private static func majority(_ samples: ArraySlice<GradedSample>) -> Double {
        var votes: [(answer: String, score: Double, count: Int)] = []
        for sample in samples {
            guard let answer = sample.answer else { continue }
            if let index = votes.firstIndex(where: { $0.answer.utf8.elementsEqual(answer.utf8) && $0.score == sample.score }) {
                votes[index].count += 1
            } else {
                votes.append((answer, sample.score, 1))
            }
        }
        let most = votes.map(\.count).max() ?? 0
        return mean(votes.filter { $0.count == most }.map(\.score))
    }
}
