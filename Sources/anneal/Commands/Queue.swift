import APITypes
import ArgumentParser
import Terminal

struct Queue: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the jobs that wait, in the order in which they are served, and why.",
        discussion: HelpText.discussion(examples: "anneal queue"))

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let answer = try shared.client().get(Page<QueueEntryView>.self, ["v1", "queue"])
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.data.map { entry in
            [
                StyledText(entry.position.map { "\($0 + 1)" } ?? "–"), StyledText(entry.project),
                StyledText("\(entry.experiment)/\(entry.name)"), StateText.name(entry.state),
                StyledText("\(entry.priority)"),
                StyledText(ResourceText.brief(entry.resources)), Moment.age(entry.queuedAt), StyledText(entry.expectedAt ?? "–"),
                StyledText(entry.message ?? entry.reason ?? "–"),
            ]
        }
        let columns: [Table.Column] = [
            .init("#", .right), .init("PROJECT"), .init("JOB", elastic: true), .init("STATE"), .init("PRIORITY", .right), .init("WANTS"),
            .init("QUEUED"),
            .init("EXPECTED"),
            .init("WHY IT WAITS", elastic: true),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "nothing waits")
    }
}
