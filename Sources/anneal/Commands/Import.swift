import APITypes
import ArgumentParser
import Glibc
import Terminal

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring an experiment that 'anneal export' wrote into this daemon, as a record of what was.",
        discussion: HelpText.discussion(
            """
            It shows, plots and compares like any other, and new jobs can use its checkpoints and datasets; its own jobs are never run again. What
            had not ended when it was exported is 'lost' or 'cancelled'. Identifiers stay where they are free. The same archive twice is told
            of and changes nothing; another state of the same experiment is refused without --copy.
            """,
            examples: "anneal import toy.tar", "anneal import toy.tar --project archive", "anneal import toy.tar --copy"))

    @Argument(help: ArgumentHelp("The archive; - is standard input.", valueName: "path"))
    var path: String

    @Option(help: ArgumentHelp("The project to put it into; else that of its origin.", valueName: "project"))
    var project: String?

    @Flag(help: "Import it beside one that is there already, under new identifiers.")
    var copy = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let client = try shared.client()
        let file = path == "-" ? "/dev/stdin" : path
        guard access(file, R_OK) == 0 else { throw CommandFailure(.failed, "cannot read \(path): \(String(cString: strerror(errno)))") }
        let query = (project.map { [("project", $0)] } ?? []) + (copy ? [("copy", "true")] : [])
        let body = try client.upload(
            ["v1", "experiments", "import"], query: query, headers: [("Content-Type", "application/x-tar")], file: file)
        let view = try client.decode(body, as: ImportView.self).view
        if shared.json { return Output.json(body) }
        let name = StyledText("\(view.project)/\(view.name)", .bold)
        guard !view.alreadyThere else { return Output.line(name + StyledText(": already there, as \(view.id)")) }
        let size = "\(view.jobs) jobs, \(view.files) files, \(NumberText.bytes(view.bytes))"
        Output.line(StyledText("✓ ", .green) + name + StyledText(": imported as \(view.id), \(view.state); \(size)"))
        if view.renamed > 0 { Output.line(StyledText("  \(view.renamed) identifiers are new; it came from \(view.origin)", .dim)) }
        if !view.absent.isEmpty {
            let names = view.absent.prefix(5).joined(separator: ", ") + (view.absent.count > 5 ? ", …" : "")
            Output.line(StyledText("  \(view.absent.count) without their files: \(names)", .yellow))
        }
    }
}
