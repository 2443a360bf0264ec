import APITypes
import ArgumentParser
import Domain
import Glibc
import JSON
import Terminal

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Back up the daemon's database and files while it runs.",
        discussion: HelpText.discussion(
            """
            TARGET is a new folder on the daemon's machine. It gets its name when it is whole; a backup that was interrupted is gone on with by
            the same command. Attempts that run are in it as they were; 'anneal restore' says what becomes of them. The token file is not.
            """,
            examples: "anneal backup /srv/backups/monday", "anneal backup /mnt/other/monday --files copy", "anneal backup --cancel"))

    @Argument(help: ArgumentHelp("The folder to make.", valueName: "target"))
    var target: String?

    @Option(help: ArgumentHelp("How files are taken: link (same file system), copy (with hashes), or none.", valueName: "link|copy|none"))
    var files = FileChoice.link

    @Flag(help: "Return at once; 'anneal backup --status' tells of it.")
    var detach = false

    @Flag(help: "Tell of the backup that is being made, or of the last one.")
    var status = false

    @Flag(help: "End the backup that is being made.")
    var cancel = false

    @OptionGroup var shared: SharedOptions

    enum FileChoice: String, ExpressibleByArgument {
        case link, copy, none

        var mode: String { self == .none ? "database" : rawValue }
    }

    func validate() throws {
        guard [target != nil, status, cancel].count(where: { $0 }) == 1 else {
            throw ValidationError("give a target, or --status, or --cancel")
        }
    }

    func run() throws {
        let client = try shared.client()
        let path = ["v1", "backup"]
        if cancel {
            _ = try client.send("DELETE", path)
            if !shared.json { Output.write("cancelled; the same target goes on with what is there\n") }
            return
        }
        var answer: APIClient.Answer<BackupView>
        if let target {
            let body: JSONObject = ["target": .string(try Self.absolute(target)), "mode": .string(files.mode)]
            answer = try client.post(
                BackupView.self, path, headers: [("Content-Type", "application/json")], body: JSONWriter().bytes(of: .object(body)))
            var told = ""
            while answer.view.state == "running", !detach {
                Glibc.poll(nil, 0, 250)
                answer = try client.get(BackupView.self, path)
                let line = Self.progress(answer.view)
                if line != told, !shared.json { Output.complain(line) }
                told = line
            }
        } else {
            answer = try client.get(BackupView.self, path)
        }
        if shared.json { Output.json(answer.body) } else { Output.lines(Self.lines(answer.view)) }
        if answer.view.state == "failed" { throw CommandFailure(.failed) }
    }

    private static func absolute(_ path: String) throws -> String {
        if path.hasPrefix("/") { return path }
        guard let folder = getcwd(nil, 0) else { throw CommandFailure(.failed, "the current folder cannot be found") }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }

    private static func progress(_ view: BackupView) -> String {
        view.phase == "database"
            ? "database: \(view.pages) of \(view.pagesTotal) pages" : "\(view.phase): \(view.files) files, \(NumberText.bytes(view.bytes))"
    }

    private static func lines(_ view: BackupView) -> [StyledText] {
        switch view.state {
        case "done":
            return [StyledText("✓ ", .green) + StyledText("\(view.target): \(view.files) files, \(NumberText.bytes(view.bytes))")]
                + view.missing.map { StyledText("  \($0): its files were gone", .yellow) }
                + view.external.map { StyledText("  \($0): outside of the data folder, not backed up", .yellow) }
        case "failed": return [StyledText("✗ ", .red) + StyledText("\(view.target): \(view.message ?? "it failed")")]
        default: return [StyledText("\(view.target): \(progress(view))")]
        }
    }
}
