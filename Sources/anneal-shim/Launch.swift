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
    private let spec: Spec
    private let controlGroup: ControlGroup?
    private let childSignals: Int32
    private let control: ControlSocket
    private let commands: CommandTarget
    private var attempt: Attempt?

    /// Everything that can be made before the worker's process.
    init(_ folder: AttemptFolder) throws(StartError) {
        guard let bytes = readFile("spec.json", at: AT_FDCWD, limit: AttemptFolder.specBytesMax) else {
            throw StartError(step: "spec", doing: "read spec.json", errorNumber: errno)
        }
        do {
            spec = try Spec(parsing: bytes)
        } catch {
            throw StartError(step: "spec", message: error.message)
        }
        guard cposix_set_child_subreaper() == 0 else {
            throw StartError(step: "subreaper", doing: "become the reaper of orphans", errorNumber: errno)
        }
        childSignals = cposix_signal_descriptor(SIGCHLD)
        guard childSignals >= 0 else { throw StartError(step: "signals", doing: "watch for child processes", errorNumber: errno) }
        let target = CommandTarget()
        commands = target
        control = try ControlSocket { target.attempt?.answer($0) ?? ControlSocket.refusal("the worker is not running yet") }
        controlGroup = ControlGroup(spec.controlGroup, name: Self.folderName())
        if let bytes = spec.memoryBytesMax { controlGroup?.limitMemory(to: bytes) }
    }

    /// Makes the worker's process, records who it is, and only then lets it run: whoever finds no shim.json knows that nothing ran.
    mutating func start(_ folder: AttemptFolder, readiness: Readiness) throws(StartError) {
        do throws(StartError) {
            var held = try HeldWorker(spec, folder: folder, controlGroup: controlGroup)
            let startedAt = Clock.wall()
            do throws(StartError) {
                OOMPreference.protectShim(from: held.pid)
                try folder.replace("shim.json", with: try identity(of: held, startedAt: startedAt))
            } catch {
                held.abandon()
                throw error
            }
            let attempt = Attempt(
                spec: spec, worker: held.pid, startedAt: startedAt, controlGroup: controlGroup, childSignals: childSignals)
            try held.release()
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

    func watch() -> ExitRecord {
        guard let attempt else { preconditionFailure("watch follows a start that succeeded") }
        return attempt.run(control: control)
    }

    func cleanUp() {
        control.remove()
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
        return [
            "version": 1, "shim_pid": .int(Int64(shim.pid)), "shim_start_ticks": .int(Int64(shim.start_ticks)),
            "child_pid": .int(Int64(child.pid)), "child_start_ticks": .int(Int64(child.start_ticks)), "boot_id": .string(boot),
            "started_at_ms": .int(startedAt), "control_group": group,
        ]
    }

    /// The last part of the folder's path, which names the attempt.
    private static func folderName() -> String {
        guard let path = getcwd(nil, 0) else { return String(getpid()) }
        defer { free(path) }
        return String(cString: path).split(separator: "/").last.map(String.init) ?? String(getpid())
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
