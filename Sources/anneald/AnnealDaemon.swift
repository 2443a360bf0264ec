import ArgumentParser
import EventLoop
import Glibc
import HTTPServer

/// The daemon's command line.
@main
struct AnnealDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "anneald",
        abstract: "The Anneal daemon: runs post-training experiments on this machine and serves the API.",
        discussion: """
            Flags win over the configuration file, which wins over the defaults. Jobs that run go on when the daemon ends, and the next
            daemon on the same data folder takes them over.

            Examples:
              anneald
              anneald --data /srv/anneal --listen 0.0.0.0:7600 --gpus auto
              anneald --data /tmp/trial --gpus sim:8
            """,
        version: Version.text)

    @Option(
        help: ArgumentHelp(
            "Folder for the database, logs, datasets and checkpoints. Default: $ANNEAL_DATA, else ~/.local/share/anneal.",
            valueName: "folder"))
    var data: String?

    @Option(
        help: ArgumentHelp(
            "Address for HTTP. Default: 127.0.0.1:7600. Port 0 takes a free one; 'none' opens no TCP port.", valueName: "host:port"))
    var listen: String?

    @Option(help: ArgumentHelp("Unix socket for HTTP. Default: anneal.sock in the data folder.", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("Configuration file (YAML). Default: $ANNEAL_CONFIG.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("GPUs to give out: auto (NVML), none, or sim:N (simulated). Default: auto.", valueName: "auto|none|sim:N"))
    var gpus: String?

    @Option(help: ArgumentHelp("CPU cores to give out. Default: those this process may use.", valueName: "count"))
    var cpus: Int?

    @Option(help: ArgumentHelp("Memory to give out, such as 64GiB. Default: that of the machine.", valueName: "size"))
    var memory: String?

    @Option(
        name: .customLong("counter"),
        help: ArgumentHelp(
            "A named counter that jobs may ask for, such as licences=4; may be given several times.", valueName: "name=count"))
    var counter: [String] = []

    @Option(
        help: ArgumentHelp(
            "Instead of running: bring this backup back into the data folder, which must be new, and end.", valueName: "folder"))
    var restore: String?

    @Flag(help: "With --restore: hold all jobs that have not ended, so that none starts until it is released.")
    var hold = false

    func run() async throws {
        let settings: Settings
        do {
            settings = try Settings.load(self)
        } catch let error as SettingsError {
            Self.complain(error.message)
            throw ExitCode(2)
        }
        do {
            if let restore {
                try Restore(source: try Settings.absolute(restore), data: settings.dataDirectory, holdsJobs: hold).run()
            } else {
                try await Daemon(settings: settings).run()
            }
        } catch let error as SettingsError {
            Self.complain(error.message)
            throw ExitCode(1)
        } catch {
            Self.complain("\(error)")
            throw ExitCode(1)
        }
    }

    private static func complain(_ message: String) {
        let line = Array("anneald: \(message)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
}
