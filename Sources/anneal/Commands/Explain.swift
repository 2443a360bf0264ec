import APITypes
import ArgumentParser
import Terminal

struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain why a job waits, or what it died of.",
        discussion: HelpText.discussion(examples: "anneal explain toy/sft"))

    @Argument(help: ArgumentHelp("A job as EXPERIMENT/JOB or its id.", valueName: "job"))
    var job: String

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let answer = try client.get(ExplainView.self, ["v1", "jobs", References(client: client).jobID(job), "explain"])
        if shared.json { return Output.json(answer.body) }
        let view = answer.view
        Output.line(
            StateText.mark(view.state) + " " + StyledText(job, .bold) + " " + StateText.name(view.state)
                + StateText.reason(view.reason, of: view.state))
        Output.lines(ExplainText.lines(view))
    }
}

/// Why a job is where it is, as text.
enum ExplainText {
    static func lines(_ view: ExplainView) -> [StyledText] {
        var lines = view.message.split(separator: "\n").map { StyledText(String($0)) }
        if !view.waitsFor.isEmpty { lines.append(StyledText("waits for", .bold)) }
        lines += view.waitsFor.map { StyledText("  \($0.kind): ", .dim) + StyledText($0.message) }
        for holder in view.waitsFor.flatMap({ $0.holders ?? [] }) {
            let end = holder.endsBy.map { ", until \($0) at the latest" } ?? ""
            lines.append(StyledText("  held by ", .dim) + StyledText("\(holder.jobID)\(end)"))
        }
        if let expected = view.expectedAt {
            lines.append(StyledText("expected to start by ", .bold) + StyledText("\(expected) (estimate)"))
        }
        if !view.evidence.isEmpty { lines.append(StyledText("evidence", .bold)) }
        for evidence in view.evidence {
            let text = evidence.message.split(separator: "\n", omittingEmptySubsequences: false)
            lines.append(StyledText("  \(evidence.kind): ", .dim) + StyledText(String(text.first ?? "")))
            lines += text.dropFirst().map { StyledText("  │ ", .dim) + StyledText(String($0)) }
        }
        return lines
    }
}
