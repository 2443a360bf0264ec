import CPosix
import Glibc
import JSON

/// `anneal-shim <attempt-dir> [--lock-fd N] [--ready-fd N] [--secrets-fd N]`: runs the worker that spec.json in the folder asks for and, when nothing of
/// its process tree is left, writes exit.json. It depends on nobody: it outlives the daemon that started it.
///
/// `anneal-shim <attempt-dir> --batch` does the same as a batch job of a cluster: the cluster's signals and stop.json take the place of
/// the daemon's commands, and the worker's variables stand above those of the batch job. Where that has several nodes, srun runs
/// `anneal-shim <attempt-dir> --node` on each. `anneal-shim --enter …` and `--step …` stand before a worker in a container there, and
/// `--guard …` beside it, see `NodeEntry`, `StepRelay` and `ContainerGuard`.
@main
enum AnnealShim {
    static func main() {
        // Without what libraries do at an exit: a GPU driver that hangs must not keep the shim.
        _exit(run(CommandLine.arguments))
    }

    private static func run(_ arguments: [String]) -> Int32 {
        // What stands before a worker in a container on a node, and beside it.
        switch arguments.dropFirst().first {
        case "--enter": return NodeEntry.run(Array(arguments.dropFirst(2)))
        case "--step": return StepRelay.run(Array(arguments.dropFirst(2)))
        case "--guard": return ContainerGuard.run(Array(arguments.dropFirst(2)))
        default: break
        }
        if arguments.count == 3, arguments[1] == "--factory", let socket = Int32(arguments[2]), socket > 2 { return serveAsFactory(socket) }
        guard let options = Options(arguments) else {
            complain("usage: anneal-shim <attempt-dir> [--batch | --node | [--lock-fd N] [--ready-fd N] [--secrets-fd N]]")
            return ShimExit.usage.rawValue
        }
        return run(options)
    }

    /// Makes shims for a daemon; returns in each of them once its attempt has ended, and in the factory when the daemon has gone.
    private static func serveAsFactory(_ socket: Int32) -> Int32 {
        openStandardDescriptors()
        guard let factory = Factory(socket: socket) else {
            complain("cannot serve as a factory: \(describe(errno))")
            return ShimExit.usage.rawValue
        }
        ignoreSignals()
        guard let order = factory.serve() else { return ShimExit.recorded.rawValue }
        if order.log >= 0 {
            dup2(order.log, STDERR_FILENO)
            close(order.log)
        }
        return run(Options(order))
    }

    private static func run(_ options: Options) -> Int32 {
        openStandardDescriptors()
        guard chdir(options.folder) == 0 else {
            complain("cannot enter '\(options.folder)': \(describe(errno))")
            return ShimExit.usage.rawValue
        }
        ignoreSignals()
        if options.isNode { return NodeAgent.run() }
        // Fails where the maker has made the session already, as the daemon does.
        setsid()
        guard let folder = AttemptFolder(inheritedLock: options.lockDescriptor) else {
            complain("the attempt in '\(options.folder)' has a shim already, or its lock cannot be taken")
            return ShimExit.locked.rawValue
        }
        if folder.exists("exit.json") {
            complain("the attempt in '\(options.folder)' has ended already")
            return ShimExit.alreadyEnded.rawValue
        }
        if folder.exists("shim.json") {
            complain("the attempt in '\(options.folder)' was started before, by a shim that died")
            return ShimExit.alreadyStarted.rawValue
        }
        let batch = options.isBatch ? BatchOrders() : nil
        return supervise(
            folder, readiness: Readiness(descriptor: options.readyDescriptor), secrets: options.secretsDescriptor, batch: batch)
    }

    private static func supervise(_ folder: AttemptFolder, readiness: Readiness, secrets: Int32?, batch: BatchOrders?) -> Int32 {
        let bornAt = Clock.wall()
        var reserve: ExitReserve?
        do {
            let room = if let batch { try SharedDisk.reserve(batch) } else { try ExitReserve() }
            reserve = room
            if let order = batch?.next() {
                let record = ExitRecord(stoppedBeforeStart: order.reason, at: bornAt)
                return publish(record, in: room) {}.rawValue
            }
            var launch = try Launch(folder, secrets: secrets, batch: batch)
            try launch.start(folder, readiness: readiness)
            let record = launch.watch()
            launch.cleanUpBehindWorker()
            syncLogs()
            let end = publish(record, in: room) { launch.cleanUp() }
            return batch != nil && end == .recorded ? record.batchExitCode : end.rawValue
        } catch {
            readiness.close()
            let now = Clock.wall()
            let record = ExitRecord(startedAt: bornAt, endedAt: now, wallTime: now - bornAt, startError: error)
            let end = publish(record, in: reserve) { unlink("ctl.sock") }
            return batch != nil && end == .recorded ? record.batchExitCode : end.rawValue
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
    private(set) var isBatch = false
    private(set) var isNode = false
    private(set) var secretsDescriptor: Int32?

    init(_ order: ShimOrder) {
        folder = order.folder
        lockDescriptor = order.lock >= 0 ? order.lock : nil
        readyDescriptor = order.readiness >= 0 ? order.readiness : nil
        secretsDescriptor = order.secrets >= 0 ? order.secrets : nil
    }

    init?(_ arguments: [String]) {
        guard arguments.count >= 2, !arguments[1].isEmpty else { return nil }
        folder = arguments[1]
        if arguments.count == 3 {
            (isBatch, isNode) = (arguments[2] == "--batch", arguments[2] == "--node")
            if !isBatch, !isNode { return nil }
            return
        }
        guard arguments.count.isMultiple(of: 2) else { return nil }
        for index in stride(from: 2, to: arguments.count, by: 2) {
            guard let descriptor = Int32(arguments[index + 1]), descriptor > 2 else { return nil }
            switch arguments[index] {
            case "--lock-fd": lockDescriptor = descriptor
            case "--ready-fd": readyDescriptor = descriptor
            case "--secrets-fd": secretsDescriptor = descriptor
            default: return nil
            }
        }
    }
}
