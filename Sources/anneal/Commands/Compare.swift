import APITypes
import ArgumentParser
import Terminal

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare two evaluations, item by item.",
        discussion: HelpText.discussion(
            "The difference is candidate less base, with its 95 % interval and the p-value of a paired test.",
            examples: "anneal compare toy/baseline toy/after"))

    @Argument(help: ArgumentHelp("The evaluation compared against: its id, or its job as EXPERIMENT/JOB.", valueName: "base"))
    var base: String

    @Argument(help: ArgumentHelp("The other evaluation.", valueName: "candidate"))
    var candidate: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let references = References(client: client)
        let query = [("base", try references.evaluationID(base)), ("candidate", try references.evaluationID(candidate))]
        let answer = try client.get(CompareView.self, ["v1", "evaluations", "compare"], query: query)
        if shared.json { return Output.json(answer.body) }
        Output.table(CompareTable.table(answer.view), ifEmpty: "the evaluations share no benchmark")
    }
}

/// A paired comparison as a table.
enum CompareTable {
    static func table(_ view: CompareView) -> Table {
        func number(_ value: Double?) -> StyledText { StyledText(value.map { NumberText.significant($0) } ?? "–") }
        let rows: [[StyledText]] = view.benchmarks.map { row in
            let interval = row.ciLow.flatMap { low in row.ciHigh.map { "[\(NumberText.significant(low)), \(NumberText.significant($0))]" } }
            let isSure = (row.ciLow ?? -1) > 0 || (row.ciHigh ?? 1) < 0
            let difference = row.difference.map {
                StyledText(($0 > 0 ? "+" : "") + NumberText.significant($0), isSure ? ($0 > 0 ? .green : .red) : nil)
            }
            return [
                StyledText(row.name), StyledText(row.metric), number(row.base), number(row.candidate), difference ?? "–",
                StyledText(interval ?? "–"),
                number(row.pValue), StyledText("\(row.items)"), StyledText("\(row.improved)"), StyledText("\(row.regressed)"),
            ]
        }
        let columns: [Table.Column] = [
            .init("BENCHMARK", elastic: true), .init("METRIC"), .init("BASE", .right), .init("CANDIDATE", .right),
            .init("DIFFERENCE", .right),
            .init("95 % INTERVAL"), .init("P", .right), .init("ITEMS", .right), .init("BETTER", .right), .init("WORSE", .right),
        ]
        return Table(columns, rows: rows)
    }
}
