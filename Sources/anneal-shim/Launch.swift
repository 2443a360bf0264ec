import CPosix
import Glibc
import JSON

/// Tells the maker, through a pipe that it passed, that the worker runs. End of file without a line says that it does not.
struct Readiness {
    private let descriptor: Int32?

    init(descriptor: Int32?) {
        self.descriptor = descriptor
        if let descriptor { _ = cposix_set_close_on_exec(descriptor, true) }
    }

    func announce(_ document: JSONValue) {
        guard let descriptor else { return }
        // A maker that has died does not read it; nothing depends on that.
        _ = writeAll(JSONWriter().bytes(of: document) + [UInt8(ascii: "\n")], to: descriptor)
        close()
    }

    func close() {
        if let descriptor { _ = Glibc.close(descriptor) }
    }
}

/// From spec.json to a running worker.
struct Launch {
    private var spec: Spec
    private let controlGroup: ControlGroup?
    private let childSignals: Int32
    /// `nil` where the folder's file system, which may be a cluster's, has no sockets.
    private let control: ControlSocket?
    private let commands: CommandTarget
    private let batch: BatchOrders?
    private let nodes: NodeGroup?
    private var attempt: Attempt?

    /// Everything that can be made before the worker's process.
    ///
    /// - Parameter secrets: the open file that holds the secrets, where the maker passed one.
    init(_ folder: AttemptFolder, secrets: Int32?, batch: BatchOrders? = nil) throws(StartError) {
        self.batch = batch
        guard let bytes = readFile("spec.json", at: AT_FDCWD, limit: AttemptFolder.specBytesMax) else {
            throw StartError(step: "spec", doing: "read spec.json", errorNumber: errno)
        }
        do {
            let asked = try Spec(parsing: bytes)
            spec = batch == nil ? asked : asked.inheriting(BatchAllocation.environment)
        } catch {
            throw StartError(step: "spec", message: error.message)
        }
        spec.environment = try Secrets.take(spec.secrets, from: secrets).added(to: spec.environment)
        nodes = batch != nil && spec.nodes > 1 ? try NodeGroup(count: spec.nodes) : nil
        if let nodes { spec = try nodes.launch(spec, folder: Self.folderPath()) }
        guard cposix_set_child_subreaper() == 0 else {
            throw StartError(step: "subreaper", doing: "become the reaper of orphans", errorNumber: errno)
        }
        childSignals = cposix_signal_descriptor(SIGCHLD)
        guard childSignals >= 0 else { throw StartError(step: "signals", doing: "watch for child processes", errorNumber: errno) }
        let target = CommandTarget()
        commands = target
        control = try Self.makeControl(target, isNeeded: batch == nil)
        controlGroup = ControlGroup(spec.controlGroup, name: Self.folderName())
        if let bytes = spec.memoryBytesMax { controlGroup?.limitMemory(to: bytes) }
    }

    private static func makeControl(_ target: CommandTarget, isNeeded: Bool) throws(StartError) -> ControlSocket? {
        do throws(StartError) {
            return try ControlSocket { target.attempt?.answer($0) ?? ControlSocket.refusal("the worker is not running yet") }
        } catch {
            if isNeeded { throw error }
            return nil
        }
    }

    /// Makes the worker's process, records who it is, and only then lets it run: whoever finds no shim.json knows that nothing ran.
    mutating func start(_ folder: AttemptFolder, readiness: Readiness) throws(StartError) {
        do throws(StartError) {
            var held = try hold(folder)
            let startedAt = Clock.wall()
            do throws(StartError) {
                OOMPreference.protectShim(from: held.pid)
                try AttemptFolder.replace("shim.json", with: try identity(of: held, startedAt: startedAt))
            } catch {
                held.abandon()
                throw error
            }
            let attempt = Attempt(
                spec: spec, worker: held.pid, startedAt: startedAt, controlGroup: controlGroup, childSignals: childSignals, batch: batch,
                nodes: nodes)
            try held.release()
            spec.forgetSecrets()
            self.attempt = attempt
            commands.attempt = attempt
            readiness.announce(["version": 1, "child_pid": .int(Int64(held.pid)), "started_at_ms": .int(startedAt)])
        } catch {
            // Any child: whatever was started for this attempt is the shim's to reap.
            while waitpid(-1, nil, 0) > 0 || errno == EINTR {}
            cleanUp()
            throw error
        }
    }

    /// The worker's process with the logs as its output, and nothing as its input but for what hands orders to several nodes.
    private func hold(_ folder: AttemptFolder) throws(StartError) -> HeldWorker {
        let input = nodes?.input ?? cposix_open(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0)
        guard input >= 0 else { throw StartError(step: "stdio", doing: "open /dev/null", errorNumber: errno) }
        defer { close(input) }
        let output = try folder.openLog("stdout.log")
        defer { close(output) }
        let errors = try folder.openLog("stderr.log")
        defer { close(errors) }
        // Here the daemon finds a worker whose shim was killed. On a cluster nobody would, and the next attempt would run beside it.
        return try HeldWorker(
            spec, input: input, output: output, errors: errors, controlGroup: controlGroup, parentDeathSignal: batch == nil ? 0 : SIGKILL)
    }

    func watch() -> ExitRecord {
        guard let attempt else { preconditionFailure("watch follows a start that succeeded") }
        return attempt.run(control: control)
    }

    /// Runs what the spec wants run once nothing of the worker is left.
    func cleanUpBehindWorker() {
        for step in spec.cleanUp { step.run(environment: spec.environment) }
    }

    func cleanUp() {
        control?.remove()
        controlGroup?.remove()
    }

    /// shim.json: pid, start time and boot id together name a process uniquely.
    private func identity(of held: HeldWorker, startedAt: Int64) throws(StartError) -> JSONValue {
        var shim = cposix_process()
        var child = cposix_process()
        var bootID = [CChar](repeating: 0, count: 37)
        guard cposix_read_process(getpid(), &shim) == 0, cposix_read_process(held.pid, &child) == 0, cposix_boot_id(&bootID) == 0 else {
            throw StartError(step: "record", doing: "read /proc", errorNumber: errno)
        }
        let boot = String(decoding: bootID.prefix(36).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let group: JSONValue = held.isInControlGroup ? controlGroup.map { .string($0.path) } ?? .null : .null
        var identity: JSONObject = [
            "version": 1, "shim_pid": .int(Int64(shim.pid)), "shim_start_ticks": .int(Int64(shim.start_ticks)),
            "child_pid": .int(Int64(child.pid)), "child_start_ticks": .int(Int64(child.start_ticks)), "boot_id": .string(boot),
            "started_at_ms": .int(startedAt), "control_group": group,
        ]
        if batch != nil { identity["batch"] = BatchAllocation.document(nodes: spec.nodes) }
        return .object(identity)
    }

    /// The last part of the folder's path, which names the attempt.
    private static func folderName() -> String { folderPath().split(separator: "/").last.map(String.init) ?? String(getpid()) }

    private static func folderPath() -> String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }
}

/// What ctl.sock's commands reach; empty until the worker runs.
final class CommandTarget {
    weak var attempt: Attempt?
}

/// Where memory runs out the kernel should take the worker, which can resume, and not the shim, which holds its exit code, nor the
/// daemon. The worker's tree inherits its score (proc_pid_oom_score_adj(5)).
enum OOMPreference {
    private static let shimAdvantage = -500
    /// Of -1000 to 1000; a process of score 0 and half of the memory is as likely to go as one of this score and none.
    private static let workerHandicap = 500

    static func protectShim(from worker: pid_t) {
        guard let text = readText("/proc/self/oom_score_adj", at: AT_FDCWD, limit: 64),
            let own = Int(text.split(separator: "\n").first ?? "")
        else { return }
        _ = set(max(own, workerHandicap), for: String(worker))
        // Only root may lower a score; the worker's higher one has to do elsewhere.
        _ = set(max(-1000, own + shimAdvantage), for: "self")
    }

    private static func set(_ score: Int, for process: String) -> Bool {
        let file = cposix_open(AT_FDCWD, "/proc/\(process)/oom_score_adj", O_WRONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return false }
        defer { close(file) }
        return writeAll(Array(String(score).utf8), to: file)
    }
}
