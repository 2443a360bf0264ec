import APITypes
import ArgumentParser
import JSON
import Terminal

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare two evaluations, item by item.",
        discussion: HelpText.discussion(
            """
            The difference is candidate less base, with its 95 % interval and the p-value of a paired test. P ADJ. is raised by Holm's method \
            for the number of benchmarks, or of tasks, compared; below 0.05 a difference is a regression or an improvement. --items lists the \
            items that flipped; --fail-on-regression ends with status 1 where the candidate is worse anywhere.
            """,
            examples: "anneal compare toy/baseline toy/after", "anneal compare toy/baseline toy/after --items --limit 20",
            "anneal compare toy/baseline toy/after --markdown --fail-on-regression"))

    @Argument(help: ArgumentHelp("The evaluation compared against: its id, or its job as EXPERIMENT/JOB.", valueName: "base"))
    var base: String

    @Argument(help: ArgumentHelp("The other evaluation.", valueName: "candidate"))
    var candidate: String

    @Flag(help: "Lists the items that flipped instead.")
    var items = false

    @Option(help: ArgumentHelp("With --items: only those of this benchmark.", valueName: "name"))
    var benchmark: String?

    @Flag(help: "Prints a table in Markdown.")
    var markdown = false

    @Flag(help: "Prints comma-separated values.")
    var csv = false

    @Flag(help: "Ends with status 1 where some benchmark or task is worse beyond chance.")
    var failOnRegression = false

    @Option(help: ArgumentHelp("With --items: at most so many.", valueName: "n"))
    var limit = 50

    @OptionGroup var shared: SharedOptions

    func validate() throws {
        guard [markdown, csv, shared.json].count(where: { $0 }) < 2 else {
            throw ValidationError("give one of --markdown, --csv and --json")
        }
        guard items || benchmark == nil else { throw ValidationError("--benchmark stands only with --items") }
        guard (1...1000).contains(limit) else { throw ValidationError("--limit is a number from 1 to 1000") }
    }

    func run() throws {
        let client = try shared.client()
        let references = References(client: client)
        let sides = [("base", try references.evaluationID(base)), ("candidate", try references.evaluationID(candidate))]
        let answer = try client.get(CompareView.self, ["v1", "evaluations", "compare"], query: sides)
        if items {
            var query = sides + [("limit", String(limit))]
            if let benchmark { query.append(("benchmark", benchmark)) }
            show(try client.get(FlippedItemPage.self, ["v1", "evaluations", "compare", "items"], query: query))
        } else if shared.json {
            Output.json(answer.body)
        } else if markdown || csv {
            Output.write(ComparisonText.written(ComparisonText.cells(answer.view), as: markdown ? .markdown : .csv))
        } else {
            Output.table(CompareTable.table(answer.view), ifEmpty: "the evaluations share no benchmark")
            for row in answer.view.benchmarks { row.notPaired.map { Output.line(StyledText("\(row.name): not paired, \($0)", .dim)) } }
        }
        let worse = answer.view.regressions
        guard failOnRegression, !worse.isEmpty else { return }
        throw CommandFailure(.failed, "worse than the base beyond chance: \(worse.joined(separator: ", "))")
    }

    private func show(_ answer: APIClient.Answer<FlippedItemPage>) {
        let page = answer.view
        if shared.json { return Output.json(answer.body) }
        if markdown || csv { return Output.write(ComparisonText.written(ComparisonText.cells(page.data), as: markdown ? .markdown : .csv)) }
        let rows: [[StyledText]] = page.data.map { item in
            let cells = ComparisonText.cells(item)
            let colour: TextStyle = item.direction == "improvement" ? .green : .red
            return cells.enumerated().map { StyledText($1, $0 == 3 ? colour : nil) }
        }
        Output.table(
            Table(
                [
                    .init("BENCHMARK"), .init("ITEM", .right), .init("TASK"), .init("DIRECTION"), .init("QUESTION", elastic: true),
                    .init("EXPECTED"), .init("BASE"), .init("CANDIDATE"),
                ], rows: rows), ifEmpty: "no item flipped")
        if page.hasMore { Output.line(StyledText("\(page.data.count) of \(page.total) that flipped; --limit shows more", .dim)) }
    }
}

/// A paired comparison as a table.
enum CompareTable {
    static func table(_ view: CompareView) -> Table {
        let rows = view.benchmarks.flatMap { row in [cells(row, name: row.name)] + row.tasks.map { cells($0, name: "  \($0.name)") } }
        let columns: [Table.Column] = [
            .init("BENCHMARK", elastic: true), .init("METRIC"), .init("BASE", .right), .init("CANDIDATE", .right),
            .init("DIFFERENCE", .right), .init("95 % INTERVAL"), .init("P", .right), .init("P ADJ.", .right), .init("ITEMS", .right),
            .init("BETTER", .right), .init("WORSE", .right), .init("VERDICT"),
        ]
        return Table(columns, rows: rows)
    }

    private static func cells(_ row: BenchmarkComparison, name: String) -> [StyledText] {
        func number(_ value: Double?) -> StyledText { StyledText(value.map { NumberText.significant($0) } ?? "–") }
        let isSure = (row.ciLow ?? -1) > 0 || (row.ciHigh ?? 1) < 0
        let difference = row.difference.map {
            StyledText(($0 > 0 ? "+" : "") + NumberText.significant($0), isSure ? ($0 > 0 ? .green : .red) : nil)
        }
        let colour: TextStyle? = row.verdict == "regression" ? .red : row.verdict == "improvement" ? .green : nil
        return [
            StyledText(name), StyledText(row.metric), number(row.base), number(row.candidate), difference ?? "–",
            interval(row.ciLow, row.ciHigh), number(row.pValue), number(row.pAdjusted), StyledText("\(row.items)"),
            StyledText("\(row.improved)"), StyledText("\(row.regressed)"), StyledText(row.verdict ?? "–", colour),
        ]
    }

    static func interval(_ low: Double?, _ high: Double?) -> StyledText {
        guard let low, let high else { return "–" }
        return StyledText("[\(NumberText.significant(low)), \(NumberText.significant(high))]")
    }
}

/// Comparisons as text for other programs.
enum ComparisonText {
    enum Format {
        case markdown, csv
    }

    /// A header and a row for each benchmark and task, the latter as `<benchmark>/<task>`.
    static func cells(_ view: CompareView) -> [[String]] {
        let header = [
            "benchmark", "metric", "base", "candidate", "difference", "ci_low", "ci_high", "p_value", "p_adjusted", "verdict", "items",
            "improved", "regressed", "flipped_up", "flipped_down",
        ]
        func number(_ value: Double?) -> String { value.map { NumberText.significant($0, digits: 6) } ?? "" }
        func cells(_ row: BenchmarkComparison, _ name: String) -> [String] {
            [
                name, row.metric, number(row.base), number(row.candidate), number(row.difference), number(row.ciLow), number(row.ciHigh),
                number(row.pValue), number(row.pAdjusted), row.verdict ?? row.notPaired ?? "",
            ] + [row.items, row.improved, row.regressed, row.flippedUp, row.flippedDown].map(String.init)
        }
        return [header] + view.benchmarks.flatMap { row in [cells(row, row.name)] + row.tasks.map { cells($0, "\(row.name)/\($0.name)") } }
    }

    static func cells(_ items: [FlippedItemView]) -> [[String]] {
        [["benchmark", "item", "task", "direction", "question", "expected", "base", "candidate"]] + items.map(cells)
    }

    /// Several samples of an item stand one after the other.
    static func cells(_ item: FlippedItemView) -> [String] {
        func answers(_ side: FlippedAnswersView) -> String { side.answers.map { $0 ?? "–" }.joined(separator: " | ") }
        let question = item.question.split(whereSeparator: \.isNewline).joined(separator: " ")
        return [
            item.benchmark, "\(item.item)", item.task ?? "", item.direction, question, item.expected, answers(item.base),
            answers(item.candidate),
        ]
    }

    static func written(_ lines: [[String]], as format: Format) -> String {
        switch format {
        case .csv: return lines.map { $0.map(forCSV).joined(separator: ",") + "\r\n" }.joined()
        case .markdown:
            var rows = lines.map { "| " + $0.map(forMarkdown).joined(separator: " | ") + " |\n" }
            rows.insert("|" + String(repeating: " --- |", count: lines.first?.count ?? 0) + "\n", at: min(1, rows.count))
            return rows.joined()
        }
    }

    private static func forCSV(_ text: String) -> String {
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    private static func forMarkdown(_ text: String) -> String {
        text.reduce(into: "") { $0 += $1 == "|" ? "\\|" : $1.isNewline ? " " : String($1) }
    }
}
