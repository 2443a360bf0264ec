import JSON

/// Two evaluations, benchmark by benchmark.
public struct EvaluationComparison: Sendable {
    /// The comparison of one benchmark.
    public struct Row: Sendable {
        public var benchmark: String
        /// `nil` where the two cannot be paired; `obstacle` says why.
        public var paired: PairedComparison?
        public var obstacle: String?
        /// Metrics that both have, base before candidate.
        public var metrics: [(name: String, base: Double, candidate: Double)]
    }

    public var rows: [Row]

    /// Pairs the items of benchmarks with equal names, as far as both were measured on the same data.
    public init(base: EvaluationDocument, candidate: EvaluationDocument) {
        rows = candidate.benchmarks.map { new in
            guard let old = base.benchmark(new.name) else {
                return Row(benchmark: new.name, obstacle: "the base has no such benchmark", metrics: [])
            }
            let metrics = new.metrics.compactMap { entry in
                old.metric(entry.name).map { (name: entry.name, base: $0.value, candidate: entry.metric.value) }
            }
            guard old.dataset.sha256 == new.dataset.sha256 else {
                return Row(benchmark: new.name, obstacle: "measured on other data", metrics: metrics)
            }
            // With different limits both hold the first items of the same file.
            let count = min(old.itemScores.count, new.itemScores.count)
            let paired = PairedComparison(base: Array(old.itemScores.prefix(count)), candidate: Array(new.itemScores.prefix(count)))
            return Row(benchmark: new.name, paired: paired, obstacle: paired == nil ? "no common items" : nil, metrics: metrics)
        }
    }

    /// The comparison as JSON: one entry for each benchmark of the candidate.
    public var json: JSONValue {
        .array(
            rows.map { row in
                var members: JSONObject = ["name": .string(row.benchmark)]
                if let obstacle = row.obstacle { members["not_paired"] = .string(obstacle) }
                if case .object(let paired)? = row.paired?.json {
                    for (key, value) in paired { members[key] = value }
                }
                var metrics = JSONObject()
                for (name, base, candidate) in row.metrics {
                    metrics[name] = ["base": .double(base), "candidate": .double(candidate), "difference": .double(candidate - base)]
                }
                members["metrics"] = .object(metrics)
                return .object(members)
            })
    }
}
