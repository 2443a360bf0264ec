import APITypes
import ArgumentParser
import Terminal

struct GarbageCollection: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Remove files that nothing refers to any more, by the rules of 'retention' in the daemon's configuration.",
        discussion: HelpText.discussion(
            """
            Nothing goes that is pinned, that a job, an output or an evaluation names, or that belongs to a job that runs. The tag 'keep' on an
            experiment keeps all of its files. What went is listed in removed.jsonl of the data folder.
            """,
            examples: "anneal gc --dry-run", "anneal gc"))

    @Flag(help: "Only tell what would go, and why.")
    var dryRun = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let body = try client.send(dryRun ? "GET" : "POST", ["v1", "gc"], isSlow: true)
        if shared.json { return Output.json(body) }
        let view = try client.decode(body, as: GarbageView.self).view
        let rows = view.items.map { item in
            [StyledText(item.kind), StyledText(NumberText.bytes(item.bytes)), StyledText(item.path), StyledText(item.reason, .dim)]
        }
        let columns: [Table.Column] = [.init("KIND"), .init("SIZE", .right), .init("PATH"), .init("WHY", elastic: true)]
        Output.table(Table(columns, rows: rows), ifEmpty: view.removed ? "nothing was removed" : "nothing would be removed")
        if view.count > view.items.count { Output.line(StyledText("… and \(view.count - view.items.count) more", .dim)) }
        if view.count > 0 {
            let verb = view.removed ? "removed" : "would be removed"
            Output.line(StyledText("\(view.count) things, \(NumberText.bytes(view.bytes)), \(verb)"))
        }
        for failure in view.failures { Output.complain("anneal: \(failure)") }
        if !view.failures.isEmpty { throw CommandFailure(.failed) }
    }
}
