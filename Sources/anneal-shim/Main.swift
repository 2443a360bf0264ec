import CPosix
import Glibc
import JSON

/// `anneal-shim <attempt-dir> [--lock-fd N] [--ready-fd N]`: runs the worker that spec.json in the folder asks for and, when nothing of
/// its process tree is left, writes exit.json. It depends on nobody: it outlives the daemon that started it.
@main
enum AnnealShim {
    static func main() {
        exit(run(CommandLine.arguments).rawValue)
    }

    private static func run(_ arguments: [String]) -> ShimExit {
        if arguments.count == 3, arguments[1] == "--factory", let socket = Int32(arguments[2]), socket > 2 { return serveAsFactory(socket) }
        guard let options = Options(arguments) else {
            complain("usage: anneal-shim <attempt-dir> [--lock-fd N] [--ready-fd N]")
            return .usage
        }
        return run(options)
    }

    /// Makes shims for a daemon; returns in each of them once its attempt has ended, and in the factory when the daemon has gone.
    private static func serveAsFactory(_ socket: Int32) -> ShimExit {
        openStandardDescriptors()
        guard let factory = Factory(socket: socket) else {
            complain("cannot serve as a factory: \(describe(errno))")
            return .usage
        }
        ignoreSignals()
        guard let order = factory.serve() else { return .recorded }
        if order.log >= 0 {
            dup2(order.log, STDERR_FILENO)
            close(order.log)
        }
        return run(Options(folder: order.folder, lockDescriptor: order.lock, readyDescriptor: order.readiness))
    }

    private static func run(_ options: Options) -> ShimExit {
        openStandardDescriptors()
        guard chdir(options.folder) == 0 else {
            complain("cannot enter '\(options.folder)': \(describe(errno))")
            return .usage
        }
        ignoreSignals()
        // Fails where the maker has made the session already, as the daemon does.
        setsid()
        guard let folder = AttemptFolder(inheritedLock: options.lockDescriptor) else {
            complain("the attempt in '\(options.folder)' has a shim already, or its lock cannot be taken")
            return .locked
        }
        if folder.exists("exit.json") {
            complain("the attempt in '\(options.folder)' has ended already")
            return .alreadyEnded
        }
        if folder.exists("shim.json") {
            complain("the attempt in '\(options.folder)' was started before, by a shim that died")
            return .alreadyStarted
        }
        return supervise(folder, readiness: Readiness(descriptor: options.readyDescriptor))
    }

    private static func supervise(_ folder: AttemptFolder, readiness: Readiness) -> ShimExit {
        let bornAt = Clock.wall()
        var reserve: ExitReserve?
        do {
            let room = try ExitReserve()
            reserve = room
            var launch = try Launch(folder)
            try launch.start(folder, readiness: readiness)
            let record = launch.watch()
            syncLogs()
            return publish(record, in: room) { launch.cleanUp() }
        } catch {
            readiness.close()
            let now = Clock.wall()
            let record = ExitRecord(startedAt: bornAt, endedAt: now, wallTime: now - bornAt, startError: error)
            return publish(record, in: reserve) { unlink("ctl.sock") }
        }
    }

    private static func publish(_ record: ExitRecord, in reserve: ExitReserve?, cleanUp: () -> Void) -> ShimExit {
        let document = record.document()
        let isWritten = ExitReserve.publish(document, in: reserve)
        let errorNumber = errno
        cleanUp()
        guard isWritten else {
            complain("cannot write exit.json: \(describe(errorNumber)); it would have said \(document)")
            return .recordFailed
        }
        return .recorded
    }

    /// The exit record promises the whole log, so what was logged reaches the disk before it.
    private static func syncLogs() {
        for name in ["stdout.log", "stderr.log"] {
            let file = cposix_open(AT_FDCWD, name, O_WRONLY | O_CLOEXEC, 0)
            guard file >= 0 else { continue }
            defer { close(file) }
            if lseek(file, 0, SEEK_END) > 0 { fdatasync(file) }
        }
    }

    /// A descriptor 0, 1 or 2 that is closed would be given to the next file that is opened.
    private static func openStandardDescriptors() {
        var descriptor: Int32 = 0
        repeat { descriptor = cposix_open(AT_FDCWD, "/dev/null", O_RDWR, 0) } while descriptor >= 0 && descriptor < 3
        if descriptor >= 3 { close(descriptor) }
    }

    /// Signals that are meant for the daemon's process group or terminal must not end a worker's supervisor. The worker itself starts
    /// with every signal at its default.
    private static func ignoreSignals() {
        for number in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU] {
            signal(number, SIG_IGN)
        }
        // An inherited "ignore" would make the kernel throw away the exit status of every child.
        signal(SIGCHLD, SIG_DFL)
    }
}

/// The command line.
private struct Options {
    let folder: String
    private(set) var lockDescriptor: Int32?
    private(set) var readyDescriptor: Int32?

    init(folder: String, lockDescriptor: Int32, readyDescriptor: Int32) {
        self.folder = folder
        self.lockDescriptor = lockDescriptor >= 0 ? lockDescriptor : nil
        self.readyDescriptor = readyDescriptor >= 0 ? readyDescriptor : nil
    }

    init?(_ arguments: [String]) {
        guard arguments.count >= 2, arguments.count.isMultiple(of: 2), !arguments[1].isEmpty else { return nil }
        folder = arguments[1]
        for index in stride(from: 2, to: arguments.count, by: 2) {
            guard let descriptor = Int32(arguments[index + 1]), descriptor > 2 else { return nil }
            switch arguments[index] {
            case "--lock-fd": lockDescriptor = descriptor
            case "--ready-fd": readyDescriptor = descriptor
            default: return nil
            }
        }
    }
}
