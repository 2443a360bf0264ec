import APITypes
import ArgumentParser
import JSON
import Terminal

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show who changed what, newest first.",
        discussion: HelpText.discussion(examples: "anneal audit", "anneal audit --actor ci --limit 200"))

    @Option(help: ArgumentHelp("Only requests of this token, attempt or user of the socket.", valueName: "name"))
    var actor: String?

    @Option(help: ArgumentHelp("Only this operation, as the contract calls it, such as cancelJob.", valueName: "operation"))
    var operation: String?

    @Option(help: ArgumentHelp("Only what was done since then, such as 2026-11-20T00:00:00Z.", valueName: "time"))
    var since: String?

    @OptionGroup var list: ListOptions
    @OptionGroup var shared: SharedOptions

    func run() throws {
        let query = [("actor", actor), ("operation", operation), ("since", since)].compactMap { name, value in value.map { (name, $0) } }
        let answer = try shared.client().list(AuditView.self, ["v1", "audit"], query: query, options: list)
        if shared.json { return Output.json(answer.body) }
        let rows: [[StyledText]] = answer.view.map { record in
            [
                StyledText(record.at), StyledText(record.actor ?? record.actorKind), StyledText(record.address ?? "socket"),
                StyledText(record.operation + (record.count > 1 ? " ×\(record.count)" : "")),
                StyledText(record.targets.joined(separator: " ")),
                record.status < 400 ? StyledText("\(record.status)") : StyledText("\(record.status)", .red),
            ]
        }
        let columns: [Table.Column] = [
            .init("WHEN"), .init("WHO"), .init("FROM"), .init("WHAT"), .init("TARGETS", elastic: true), .init("STATUS", .right),
        ]
        Output.table(Table(columns, rows: rows), ifEmpty: "nothing was changed")
    }
}
