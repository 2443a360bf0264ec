/// How pass@k and majority@k are computed. NeMo-Skills changed both in August 2025.
public enum MetricDefinition: String, Sendable, CaseIterable {
    /// The unbiased pass@k of Chen et al. 2021; a tied majority gives the mean score of the tied answers.
    case unbiased
    /// As before that change: pass@k is the best of the first k; a tied majority takes the smallest of the tied answers.
    case firstK = "first_k"

    /// The name of the mean over the first `k` samples in a report.
    func meanLabel(_ k: Int) -> String { self == .unbiased ? "pass@1[avg-of-\(k)]" : "pass@1[\(k)]" }

    /// The name of the only row of a benchmark with one sample.
    var singleLabel: String { self == .unbiased ? "pass@1" : "greedy" }
}
