import APITypes
import ArgumentParser
import JSON
import Terminal

struct EvaluationsItems: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "items", abstract: "Show an evaluation's questions, answers and verdicts.",
        discussion: HelpText.discussion(
            "An item is shown as ✓ where all samples are right, ✗ where none is, and ~ between.",
            examples: "anneal evaluations items toy/after", "anneal evaluations items toy/after --wrong --benchmark gsm8k --limit 5"))

    @Argument(help: ArgumentHelp("Its id, or its job as EXPERIMENT/JOB.", valueName: "evaluation"))
    var evaluation: String

    @Flag(help: "Only items that not all samples got right.")
    var wrong = false

    @Option(help: ArgumentHelp("Only items of this benchmark.", valueName: "name"))
    var benchmark: String?

    @OptionGroup var options: ListOptions
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).evaluationID(evaluation)
        var query: [(String, String)] = wrong ? [("wrong", "true")] : []
        if let benchmark { query.append(("benchmark", benchmark)) }
        let answer = try client.list(JSONValue.self, ["v1", "evaluations", id, "items"], query: query, options: options)
        if shared.json { return Output.json(answer.body) }
        if answer.view.isEmpty { Output.line(StyledText(wrong ? "no item is wrong" : "no items", .dim)) }
        for item in answer.view { Output.lines(ItemText.lines(item)) }
    }
}

/// An item of an evaluation in words.
enum ItemText {
    /// Characters of a text that are shown; the whole is in the JSON.
    private static let charactersMax = 500

    static func lines(_ item: JSONValue) -> [StyledText] {
        let score = item["score"]?.double ?? 0
        let mark = score >= 1 ? StyledText("✓ ", .green) : score <= 0 ? StyledText("✗ ", .red) : StyledText("~ ", .yellow)
        let task = item["task"]?.string.map { " · \($0)" } ?? ""
        let samples = item["samples"]?.array ?? []
        let share = samples.count > 1 ? " · score \(NumberText.significant(score))" : ""
        let name = "\(item["benchmark"]?.string ?? "") #\(item["item"]?.int ?? 0)\(task)\(share)"
        let content = item["messages"]?.array?.last?["content"]
        var lines = [mark + StyledText(name, .bold)]
        lines += text("question", content?.string ?? content?.text() ?? "")
        lines += text("expected", item["expected"]?.string ?? "")
        for sample in samples { lines += text(samples.count > 1 ? "answer \(sample["sample"]?.int ?? 0)" : "answer", answer(sample)) }
        return lines
    }

    /// The answer of a sample with its verdict, and what there is to say beside.
    private static func answer(_ sample: JSONValue) -> String {
        let mark = (sample["score"]?.double ?? 0) > 0.5 ? "✓" : "✗"
        var words: [String] = []
        if sample["finish_reason"]?.string == "length" { words.append("cut off") }
        if let error = sample["grading_error"]?.string { words.append(error) }
        let note = words.isEmpty ? "" : "  (\(words.joined(separator: "; ")))"
        guard let answer = sample["answer"]?.string else {
            return "\(mark) no answer\(note) in: \(sample["response"]?.string ?? "")"
        }
        return "\(mark) \(answer)\(note)"
    }

    private static func text(_ label: String, _ value: String) -> [StyledText] {
        let shown = value.count > charactersMax ? value.prefix(charactersMax) + "…" : value[...]
        let parts = shown.split(separator: "\n", omittingEmptySubsequences: true)
        let head = "  " + label + String(repeating: " ", count: max(1, 10 - label.count))
        let indent = String(repeating: " ", count: head.count)
        guard let first = parts.first else { return [StyledText(head, .dim)] }
        return [StyledText(head, .dim) + StyledText(String(first))] + parts.dropFirst().map { StyledText(indent + $0) }
    }
}
