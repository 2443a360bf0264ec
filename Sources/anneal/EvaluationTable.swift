import APITypes
import Terminal

/// Evaluations side by side, one row for each benchmark.
enum EvaluationTable {
    /// - Parameters:
    ///   - evaluations: Each with the name that leads its rows.
    ///   - withIDs: With a column of identifiers and one of ages, for a list over experiments.
    static func table(_ evaluations: [(name: String, evaluation: EvaluationView)], withIDs: Bool = false) -> Table {
        var rows: [[StyledText]] = []
        for (name, evaluation) in evaluations {
            for benchmark in evaluation.benchmarks {
                let comparison = evaluation.compare?.benchmarks.first { $0.name == benchmark.name && $0.metric == "accuracy" }
                rows.append([
                    StyledText(name, .bold), StyledText(benchmark.name), StyledText("\(benchmark.items)"),
                    StyledText("\(benchmark.samples)"),
                    accuracy(benchmark.metrics["accuracy"]), share(benchmark.metrics["no_answer"]), tokens(benchmark.metrics["avg_tokens"]),
                    difference(comparison), gate(evaluation.gate),
                ])
                if withIDs { rows[rows.count - 1] += [Moment.age(evaluation.createdAt), StyledText(evaluation.id, .dim)] }
            }
        }
        let columns: [Table.Column] = [
            .init("EVALUATION", elastic: true), .init("BENCHMARK", elastic: true), .init("ITEMS", .right), .init("SAMPLES", .right),
            .init("ACCURACY", .right), .init("NO ANSWER", .right), .init("AVG TOKENS", .right), .init("DIFFERENCE", .right), .init("GATE"),
        ]
        return Table(columns + (withIDs ? [.init("CREATED"), .init("ID")] : []), rows: rows)
    }

    private static let none = StyledText("–", .dim)

    private static func accuracy(_ estimate: MetricEstimate?) -> StyledText {
        guard let estimate else { return none }
        let deviation = estimate.stderr.map { " ± \(NumberText.fixed($0 * 100, decimals: 1))" } ?? ""
        return StyledText(NumberText.fixed(estimate.value.number * 100, decimals: 1) + deviation + " %")
    }

    private static func share(_ estimate: MetricEstimate?) -> StyledText {
        estimate.map { StyledText(NumberText.percent($0.value.number)) } ?? none
    }

    private static func tokens(_ estimate: MetricEstimate?) -> StyledText {
        estimate.map { StyledText(NumberText.fixed($0.value.number, decimals: 1)) } ?? none
    }

    /// The paired difference in percentage points, green or red where the interval excludes zero.
    static func difference(_ comparison: BenchmarkComparison?) -> StyledText {
        guard let comparison, let difference = comparison.difference else { return none }
        let isSure = (comparison.ciLow ?? -1) > 0 || (comparison.ciHigh ?? 1) < 0
        let sign = difference > 0 ? "+" : ""
        return StyledText("\(sign)\(NumberText.fixed(difference * 100, decimals: 1))", isSure ? (difference > 0 ? .green : .red) : nil)
    }

    static func gate(_ gate: GateView?) -> StyledText {
        guard let gate else { return none }
        return gate.passed ? StyledText("passed", .green) : StyledText("missed", .red)
    }
}
