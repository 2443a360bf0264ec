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

/// Metrics over the items of a benchmark, each with the same number of samples.
///
/// Definitions are those of NeMo-Skills (`evaluation/metrics/base.py`, `math_metrics.py`), by default as they are since August 2025.
/// Values are shares from 0 to 1.
public struct BenchmarkMetrics: Sendable {
    private let items: [[GradedSample]]
    /// Samples of each item.
    public let samples: Int
    public let definition: MetricDefinition
    /// What the bootstrap draws with.
    private let seed: UInt64

    /// `nil` where there is no item, or where items have different numbers of samples.
    public init?(items: [[GradedSample]], definition: MetricDefinition = .unbiased, seed: UInt64 = 0) {
        guard let samples = items.first?.count, samples > 0, items.allSatisfy({ $0.count == samples }) else { return nil }
        self.items = items
        self.samples = samples
        self.definition = definition
        self.seed = seed
    }

    /// The mean score of each item.
    public var itemScores: [Double] { items.map { Sums.mean($0.map(\.score)) } }

    /// The mean over the first `k` samples of each item.
    public func meanOfFirst(_ k: Int) -> MetricValue? { MetricValue(mean: firstMeans(k)) }

    private func firstMeans(_ k: Int) -> [Double] { items.map { item in Sums.mean(item.prefix(k).map(\.score)) } }

    /// The chance that at least one of `k` samples is right.
    ///
    /// Unbiased: 1 − C(n−c, k) / C(n, k) with c right ones of n (Chen et al. 2021, "Evaluating Large Language Models Trained on Code",
    /// section 2.1) where the scores of an item are 0 or 1, otherwise the best of the first `k`. By `firstK` always the latter.
    public func pass(at k: Int) -> MetricValue? { MetricValue(mean: passes(k)) }

    private func passes(_ k: Int) -> [Double] {
        items.map { item in
            definition == .unbiased ? Self.pass(item.map(\.score), at: k) : item.prefix(k).map(\.score).max() ?? 0
        }
    }

    /// The score of the most common answer among the first `k` samples; 0 where none of them holds an answer.
    public func majority(at k: Int) -> MetricValue? { MetricValue(mean: majorities(k)) }

    private func majorities(_ k: Int) -> [Double] { items.map { Self.majority($0.prefix(k), definition) } }

    /// The share of samples without an answer.
    public var noAnswer: MetricValue? { noAnswer(inFirst: samples) }

    /// The share without an answer among the first `k` samples of each item.
    public func noAnswer(inFirst k: Int) -> MetricValue? {
        MetricValue(mean: items.map { item in Sums.mean(item.prefix(k).map { $0.answer == nil ? 1 : 0 }) })
    }

    /// The share of items without an answer in any sample.
    public var noAnswerInAny: MetricValue? { noAnswer(inAnyOfFirst: samples) }

    /// The share of items without an answer in any of their first `k` samples.
    public func noAnswer(inAnyOfFirst k: Int) -> MetricValue? {
        MetricValue(mean: items.map { item in item.prefix(k).allSatisfy { $0.answer == nil } ? 1 : 0 })
    }

    /// Generated tokens of a sample, rounded down; `nil` where the server did not tell for all.
    public var averageTokens: MetricValue? {
        let means = items.map { item -> Double? in
            let tokens = item.compactMap(\.tokens)
            return tokens.count == item.count ? Sums.mean(tokens.map(Double.init)) : nil
        }
        guard var metric = MetricValue(mean: means.compactMap(\.self)), means.allSatisfy({ $0 != nil }) else { return nil }
        metric.value = metric.value.rounded(.down)
        return metric
    }

    /// The share of samples that ended at the limit of tokens.
    public var truncated: MetricValue? {
        MetricValue(mean: items.map { item in Sums.mean(item.map { $0.isTruncated ? 1 : 0 }) })
    }

    /// How the accuracy of single runs varies; `nil` for one sample.
    public var runs: RunStatistics? { RunStatistics(scores: items.map { $0.map(\.score) }) }

    /// All metrics under their names, in the order of a report; those of all samples have a bootstrap interval.
    public func all() -> [(name: String, metric: MetricValue)] {
        var list: [(String, MetricValue?)] = [("accuracy", MetricValue(mean: firstMeans(samples), seed: seed))]
        if samples > 1 {
            for k in 1..<samples { list.append(("pass@\(k)", pass(at: k))) }
            list.append(("pass@\(samples)", MetricValue(mean: passes(samples), seed: seed)))
            for k in 1..<samples { list.append(("majority@\(k)", majority(at: k))) }
            list.append(("majority@\(samples)", MetricValue(mean: majorities(samples), seed: seed)))
        }
        list.append(("no_answer", noAnswer))
        if samples > 1 { list.append(("no_answer@\(samples)", noAnswerInAny)) }
        list.append(("truncated", truncated))
        list.append(("avg_tokens", averageTokens))
        return list.compactMap { name, metric in metric.map { (name: name, metric: $0) } }
    }

    /// The metrics that depend on k, for k from 1 to the number of samples.
    public var byK: MetricsByK {
        let ks = 1...samples
        func values(_ metric: (Int) -> MetricValue?) -> [Double] { ks.map { metric($0)?.value ?? 0 } }
        return MetricsByK(
            mean: values(meanOfFirst), pass: values(pass(at:)), majority: values(majority(at:)),
            noAnswerMean: values(noAnswer(inFirst:)), noAnswerInAny: values(noAnswer(inAnyOfFirst:)))
    }

    /// The metrics of the items whose place `isIncluded` takes; `nil` where it takes none.
    public func subset(_ isIncluded: (Int) -> Bool) -> BenchmarkMetrics? {
        BenchmarkMetrics(items: items.indices.filter(isIncluded).map { items[$0] }, definition: definition, seed: seed)
    }

    private static func pass(_ scores: [Double], at k: Int) -> Double {
        guard scores.allSatisfy({ $0 == 0 || $0 == 1 }) else { return scores.prefix(k).max() ?? 0 }
        let wrong = scores.count { $0 == 0 }
        guard wrong >= k else { return 1 }
        // C(n−c, k) / C(n, k) as a product, so that no factorial overflows.
        return 1 - (0..<k).reduce(1.0) { $0 * Double(wrong - $1) / Double(scores.count - $1) }
    }

    private static func majority(_ samples: ArraySlice<GradedSample>, _ definition: MetricDefinition) -> Double {
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
        let tied = votes.filter { $0.count == most }
        switch definition {
        case .unbiased: return Sums.mean(tied.map(\.score))
        case .firstK:
            // The order of bytes is that of code points, in which Python sorts texts.
            let smallest = tied.min { left, right in
                if left.answer.utf8.elementsEqual(right.answer.utf8) { return left.score < right.score }
                return left.answer.utf8.lexicographicallyPrecedes(right.answer.utf8)
            }
            return smallest?.score ?? 0
        }
    }
}

/// Metrics for each k from 1 to the number of samples, as shares from 0 to 1.
public struct MetricsByK: Sendable, Equatable {
    public var mean: [Double]
    public var pass: [Double]
    public var majority: [Double]
    /// The share of samples without an answer.
    public var noAnswerMean: [Double]
    /// The share of items without an answer in any sample.
    public var noAnswerInAny: [Double]
}
