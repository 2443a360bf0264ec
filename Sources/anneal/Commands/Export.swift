import APITypes
import ArgumentParser
import Glibc
import Terminal

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write an experiment with its logs, curves, results and files to an archive for another daemon.",
        discussion: HelpText.discussion(
            """
            The archive is a plain tar file; its last member lists all others with their hashes. An experiment that runs is in it as it is now.
            Secrets, tokens and the requests to supervisors are not. 'anneal import' brings it into another daemon.
            """,
            examples: "anneal export toy --out toy.tar", "anneal export toy --artifacts selected --out - | ssh other anneal import -"))

    @Argument(help: ArgumentHelp("Its id, or a name, which means the newest of that name.", valueName: "experiment"))
    var experiment: String

    @Option(help: ArgumentHelp("The file to write; - is standard output.", valueName: "path"))
    var out: String

    @Option(
        help: ArgumentHelp(
            "Which files beside logs and metrics: all, selected (of training checkpoints only what is pinned or named by a result), or none.",
            valueName: "all|selected|none"))
    var artifacts = Artifacts.all

    @Flag(help: "Leave out all checkpoints and models.")
    var noCheckpoints = false

    @Flag(help: "Write over a file that is there.")
    var force = false

    @OptionGroup var shared: SharedOptions

    enum Artifacts: String, ExpressibleByArgument, CaseIterable { case all, selected, none }

    func run() throws {
        let client = try shared.client()
        let id = try References(client: client).experimentID(experiment)
        let query = [("artifacts", artifacts.rawValue), ("checkpoints", noCheckpoints ? "false" : "true")]
        guard out != "-" else {
            guard isatty(STDOUT_FILENO) == 0 else {
                throw CommandFailure(.usage, "an archive is nothing for a terminal; give --out a file")
            }
            _ = try fetch(id, query, to: STDOUT_FILENO, client)
            return
        }
        guard force || access(out, F_OK) != 0 else { throw CommandFailure(.conflict, "\(out) is there already; --force writes over it") }
        let part = "\(out).\(getpid()).part"
        let file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw CommandFailure(.failed, "cannot create \(part): \(String(cString: strerror(errno)))") }
        defer {
            close(file)
            unlink(part)
        }
        let bytes = try fetch(id, query, to: file, client)
        guard fsync(file) == 0, rename(part, out) == 0 else {
            throw CommandFailure(.failed, "cannot finish \(out): \(String(cString: strerror(errno)))")
        }
        if shared.json {
            Output.json(Array("{\"id\":\"\(id)\",\"bytes\":\(bytes)}".utf8))
        } else {
            Output.line(StyledText(id, .bold) + StyledText(": \(NumberText.bytes(bytes)) written to \(out)"))
        }
    }

    /// Brings the archive to a descriptor. Returns its size.
    private func fetch(_ id: String, _ query: [(String, String)], to file: Int32, _ client: APIClient) throws -> Int64 {
        var total: Int64 = 0
        do {
            try client.stream(
                ["v1", "experiments", id, "export"], query: query, headers: [("Accept", "application/x-tar, application/problem+json")],
                silence: APIClient.readingTime
            ) { chunk in
                var done = 0
                while done < chunk.count {
                    let count = chunk.withUnsafeBytes { write(file, $0.baseAddress.map { $0 + done }, chunk.count - done) }
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { throw CommandFailure(.failed, "cannot write the archive: \(String(cString: strerror(errno)))") }
                    done += count
                }
                total += Int64(chunk.count)
                return true
            }
        } catch let lost as APIClient.ConnectionLost {
            guard total > 0 else { throw lost.reason }
            throw CommandFailure(.failed, "the archive broke off after \(NumberText.bytes(total)): \(lost.reason.lines.first ?? "")")
        }
        return total
    }
}
