import ArgumentParser
import Glibc

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring a backup back into a new data folder; no daemon may run on that.",
        discussion: HelpText.discussion(
            """
            Sizes and hashes are checked, and an older database is brought up to date. Jobs that ran when the backup was taken go back to the
            queue where their retries or checkpoints allow it and are 'lost' otherwise; no process of the old machine is signalled. It runs
            'anneald --restore', with the anneald beside this program or in PATH.
            """,
            examples: "anneal restore /srv/backups/monday --data /var/lib/anneal", "anneal restore monday --data ~/trial --hold"))

    @Argument(help: ArgumentHelp("The backup's folder.", valueName: "source"))
    var source: String

    @Option(help: ArgumentHelp("The data folder to make.", valueName: "folder"))
    var data: String

    @Flag(help: "Hold all jobs that have not ended, so that none starts until it is released.")
    var hold = false

    @OptionGroup var shared: SharedOptions

    func run() throws {
        let arguments = ["anneald", "--restore", source, "--data", data] + (hold ? ["--hold"] : [])
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        if let folder = Self.ownFolder(), access(folder + "/anneald", X_OK) == 0 { execv(folder + "/anneald", &pointers) }
        execvp("anneald", &pointers)
        throw CommandFailure(.failed, "anneald cannot be run: \(String(cString: strerror(errno)))", "install it beside anneal, or in PATH")
    }

    private static func ownFolder() -> String? {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        guard count > 0 else { return nil }
        let text = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.lastIndex(of: "/").map { String(text[..<$0]) }
    }
}
