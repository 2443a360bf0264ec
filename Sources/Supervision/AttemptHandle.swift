import CPosix
import EventLoop
import Glibc
import JSON

/// A live attempt: its shim is watched, and can be told to stop its worker.
///
/// The loop keeps the handle alive until the attempt has ended or `detach` was called. Dropping it, or the daemon's death, changes
/// nothing for the worker.
@LoopActor
public final class AttemptHandle {
    /// Between two looks at a shim of which no process descriptor can be had; each wait is twice as long as the one before.
    private static let pollDelayMin: Duration = .milliseconds(20)
    private static let pollDelayMax: Duration = .seconds(1)
    /// How long a command waits for a shim that is just starting or just ending.
    private static let startPatience: Duration = .seconds(5)

    /// The attempt's folder.
    public nonisolated let directory: String
    /// The shim; `nil` until a shim that another daemon started has said who it is.
    public private(set) var shimPID: Int32?
    /// The worker's first process, once its program runs.
    public private(set) var workerPID: Int32?
    /// When the worker's program began, in milliseconds since 1970.
    public private(set) var startedAtMs: Int64?
    /// True from the last event on.
    public private(set) var isOver = false
    private var isDetached = false

    private let folder: AttemptFolder
    private let files: BlockingThread
    private let onEvent: @LoopActor (AttemptEvent) -> Void
    private var pidfd: Int32?
    private var readiness: Int32?
    private var exitWatcher: DescriptorWatcher?
    private var readinessWatcher: DescriptorWatcher?
    private var pollTimer: LoopTimer?
    private var pollDelay = AttemptHandle.pollDelayMin
    /// What the shim said on its way to end, for the evidence of a lost attempt.
    private var shimEnd: String?

    /// A shim that this process has just started.
    init(_ shim: ShimProcess, folder: AttemptFolder, files: BlockingThread, onEvent: @escaping @LoopActor (AttemptEvent) -> Void) {
        directory = folder.path
        self.folder = folder
        self.files = files
        self.onEvent = onEvent
        shimPID = shim.pid
        pidfd = shim.pidfd
        readiness = shim.readiness
        do {
            readinessWatcher = try DescriptorWatcher(descriptor: shim.readiness, events: .readable) { _ in self.readReadiness() }
        } catch {
            // The poll below finds in shim.json what the pipe would have told.
            closeReadiness()
        }
        watchExit()
    }

    /// A shim that another daemon started; `identity` is missing where it has not yet said who it is, `pidfd` where it was not found.
    init(
        identity: ShimIdentity?, pidfd: Int32?, folder: AttemptFolder, files: BlockingThread,
        onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) {
        directory = folder.path
        self.folder = folder
        self.files = files
        self.onEvent = onEvent
        self.pidfd = pidfd
        shimPID = identity?.shimPID
        workerPID = identity?.workerPID
        startedAtMs = identity?.startedAtMs
        watchExit()
    }

    // MARK: Commands

    /// Begins the stop ladder, or hastens it. It is the shim's from then on: it goes on whatever becomes of the daemon.
    ///
    /// - Parameters:
    ///   - reason: what exit.json will give as `stop_reason`.
    ///   - ladder: replaces the ladder of the launch.
    ///
    /// Returns when the shim has taken the order, or at once where the attempt is over. Throws `SupervisionError.unreachable` where the
    /// shim does not answer: nothing is known then, least of all that the worker has ended.
    public func stop(reason: String, ladder: StopLadder? = nil) async throws {
        var command: JSONObject = ["version": 1, "command": "stop", "reason": .string(reason)]
        if let ladder { command["ladder"] = ladder.document }
        _ = try await perform(.object(command))
    }

    /// Sends a signal to the worker's first process.
    public func signal(_ number: Int32) async throws {
        _ = try await perform(["version": 1, "command": "signal", "signal": .int(Int64(number))])
    }

    /// What the shim says of the worker; `nil` where the attempt is over.
    public func status() async throws -> WorkerStatus? {
        guard let reply = try await perform(["version": 1, "command": "status"]) else { return nil }
        guard let state = reply["state"]?.string, let pid = reply["child_pid"]?.int.flatMap(Int32.init(exactly:)),
            let startedAt = reply["started_at_ms"]?.int
        else { throw SupervisionError(.unreachable, message: "the supervisor's answer lacks the worker's state") }
        return WorkerStatus(
            state: state, workerPID: pid, startedAtMs: Int64(startedAt), stopReason: reply["stop_reason"]?.string,
            stopPhase: reply["stop_phase"]?.string ?? "none", timeLeft: reply["time_left_ms"]?.int.map { .milliseconds(Int64($0)) })
    }

    /// Writes what the worker's processes are at, with their stacks as far as they can be had, to stacks.txt in the attempt's folder.
    public func dump() async throws { _ = try await perform(["version": 1, "command": "dump"]) }

    /// What the worker's tree has used so far; `nil` where the attempt is over.
    public func usage() async throws -> WorkerUsage? {
        guard let reply = try await perform(["version": 1, "command": "usage"]), let milliseconds = reply["cpu_ms"]?.int else { return nil }
        return WorkerUsage(cpuSeconds: Double(milliseconds) / 1000)
    }

    /// Stops to watch, and leaves shim and worker alone: a later `reattach` takes up from here. No event comes after it.
    public func detach() {
        isDetached = true
        closeWatchers()
    }

    /// The shim's answer; `nil` where the attempt was over or ended meanwhile.
    private func perform(_ command: JSONValue) async throws -> JSONValue? {
        let deadline = SystemTime.monotonicNanoseconds() + UInt64(Self.startPatience.wholeMilliseconds) * 1_000_000
        while !isOver {
            guard !isDetached else { throw SupervisionError(.unreachable, message: "the attempt is no longer watched from here") }
            do {
                return try await ControlClient.exchange(command, folder: folder, files: files)
            } catch let error as SupervisionError where error.code == .unreachable {
                // A shim binds its socket shortly after its birth and removes it shortly before its end.
                guard error.errorNumber != ETIMEDOUT, SystemTime.monotonicNanoseconds() < deadline else { throw error }
                await Self.pause(.milliseconds(10))
            }
        }
        return nil
    }

    private static func pause(_ time: Duration) async {
        await withCheckedContinuation { continuation in _ = LoopTimer(after: time) { continuation.resume() } }
    }

    // MARK: Watching

    private func watchExit() {
        if let pidfd {
            do {
                exitWatcher = try DescriptorWatcher(descriptor: pidfd, events: .readable) { _ in self.shimEnded() }
                return
            } catch {
                close(pidfd)
                self.pidfd = nil
            }
        }
        // Looks at the shim's records and its lock now and then.
        pollTimer = LoopTimer(after: pollDelay) { self.conclude() }
        pollDelay = min(pollDelay * 2, Self.pollDelayMax)
    }

    private func readReadiness() {
        guard let readiness else { return }
        var line = [UInt8](repeating: 0, count: 1_024)
        let count = read(readiness, &line, line.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        closeReadiness()
        // The shim writes its line at once. No line: the worker never ran, and exit.json will say why.
        guard count > 0, let document = try? JSONParser.parse(line[..<count]), let pid = document["child_pid"]?.int,  // no line, no start
            let startedAt = document["started_at_ms"]?.int
        else { return }
        workerStarted(pid: Int32(truncatingIfNeeded: pid), at: Int64(startedAt))
    }

    private func workerStarted(pid: Int32, at time: Int64) {
        guard workerPID == nil, !isOver, !isDetached else { return }
        workerPID = pid
        startedAtMs = time
        onEvent(.started(pid: pid, at: time))
    }

    private func shimEnded() {
        readReadiness()
        if let pidfd, case .reaped(let evidence) = Self.reap(pidfd) { shimEnd = evidence }
        closeWatchers()
        conclude()
    }

    /// What became of a shim as a child of this process.
    enum ShimEnd: Equatable {
        case running
        /// It has ended; the text says how where it did not end as it should.
        case reaped(String?)
        /// Another daemon started it.
        case notOurs
    }

    /// Reaps the shim where it is a child of this process and has ended; no other child is touched.
    nonisolated static func reap(_ pidfd: Int32) -> ShimEnd {
        var exitCode: Int32 = -1
        var signal: Int32 = -1
        switch cposix_pidfd_reap(pidfd, &exitCode, &signal) {
        case 0: return .running
        case 1 where signal >= 0: return .reaped("the supervisor was ended by signal \(signal)")
        case 1: return .reaped(exitCode == 0 ? nil : "the supervisor ended with exit code \(exitCode)")
        default: return .notOurs
        }
    }

    /// Reads the folder on the file thread and tells the outcome.
    private func conclude() {
        Task {
            let folder = self.folder
            let finding: AttemptFinding
            do {
                finding = try await files.run { AttemptFinding.examine(folder) }
            } catch {
                // The file thread has been stopped: the daemon is going down, and the next one will look.
                return detach()
            }
            if !isOver, !isDetached { apply(finding) }
        }
    }

    private func apply(_ finding: AttemptFinding) {
        switch finding {
        case .live(let identity):
            // Only polled shims are found alive here: a descriptor fires at the end alone.
            shimPID = identity?.shimPID ?? shimPID
            if let identity { workerStarted(pid: identity.workerPID, at: identity.startedAtMs) }
            if pidfd == nil, let identity { pidfd = identity.openShim() }
            watchExit()
        case .ended(let record): end(.ended(record))
        case .neverStarted(let evidence): end(.ended(Self.startFailure(shimEnd ?? evidence)))
        case .lost(let evidence): end(.lost(evidence: shimEnd.map { "\($0); \(evidence)" } ?? evidence))
        case .unsupervised(let remains):
            let worker = UnsupervisedWorker(remains, folder: folder, files: files, onEvent: onEvent)
            end(.unsupervised(worker))
        }
    }

    /// The shim that this daemon started ended before it let a worker run.
    private static func startFailure(_ evidence: String) -> ExitRecord {
        let now = SystemTime.now()
        var record = ExitRecord(startedAtMs: now, endedAtMs: now)
        record.startError = ExitRecord.StartError(step: "supervisor", errorNumber: 0, message: "the worker was not started: \(evidence)")
        return record
    }

    private func end(_ event: AttemptEvent) {
        isOver = true
        closeWatchers()
        onEvent(event)
    }

    private func closeReadiness() {
        readinessWatcher?.cancel()
        readinessWatcher = nil
        if let readiness { close(readiness) }
        readiness = nil
    }

    private func closeWatchers() {
        closeReadiness()
        exitWatcher?.cancel()
        exitWatcher = nil
        pollTimer?.cancel()
        pollTimer = nil
        if let pidfd { close(pidfd) }
        pidfd = nil
    }
}
