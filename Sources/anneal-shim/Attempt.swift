import CPosix
import Glibc
import JSON

/// A worker that runs, watched until nothing of its tree is left.
final class Attempt {
    private let spec: Spec
    private let worker: pid_t
    private let controlGroup: ControlGroup?
    private let childSignals: Int32
    private let startedAt: Int64
    private let startedMonotonic = Clock.monotonic()

    private var ladder = StopLadder()
    private var end: WorkerEnd?
    private var treeIsEmpty = false
    /// After the worker's end: when its stragglers are killed.
    private var stragglerDeadline: Int64?
    private var killing: KillRounds?

    /// Time between two looks at the logs' sizes, where they are limited.
    private static let logCheckInterval: Int64 = 1_000

    init(spec: Spec, worker: pid_t, startedAt: Int64, controlGroup: ControlGroup?, childSignals: Int32) {
        self.spec = spec
        self.worker = worker
        self.startedAt = startedAt
        self.controlGroup = controlGroup
        self.childSignals = childSignals
    }

    /// Returns when the tree has ended, or when what is left of it after the worker's own end cannot be killed.
    func run(control: ControlSocket) -> ExitRecord {
        while true {
            reap()
            if end != nil, treeIsEmpty { return record(survivors: []) }
            let now = Clock.monotonic()
            advance(now)
            if end != nil, let killing, now - killing.since >= spec.killPatience {
                return record(survivors: ProcessTree.descendants().map(\.pid))
            }
            wait(until: nextDeadline(now), now: now, control: control)
        }
    }

    private func wait(until deadline: Int64?, now: Int64, control: ControlSocket) {
        var entries = control.pollEntries
        entries.append(pollfd(fd: childSignals, events: Int16(POLLIN), revents: 0))
        let timeout = deadline.map { Int32(clamping: max(0, $0 - now)) } ?? -1
        guard poll(&entries, nfds_t(entries.count), timeout) > 0 else { return }
        for entry in entries where entry.revents != 0 {
            if entry.fd == childSignals { cposix_drain_signal_descriptor(childSignals) } else { control.handle(entry) }
        }
    }

    /// Reaps every child that has ended: the worker, and orphans of its tree, which the kernel gives to the shim.
    private func reap() {
        while true {
            var status: Int32 = 0
            // Any child: the shim is the subreaper of a tree whose processes it does not know beforehand.
            let pid = waitpid(-1, &status, WNOHANG)
            if pid < 0, errno == EINTR { continue }
            treeIsEmpty = pid < 0
            guard pid > 0 else { return }
            if pid == worker { workerEnded(status: status) }
        }
    }

    private func workerEnded(status: Int32) {
        let now = Clock.monotonic()
        end = WorkerEnd(status: status, wallClock: Clock.wall(), monotonicClock: now)
        // Stragglers of a worker that was told to end have had their warning: they get no more than was left of its grace.
        stragglerDeadline = min(now + spec.stragglerGrace, ladder.deadline ?? .max)
    }

    // MARK: Deadlines

    private func advance(_ now: Int64) {
        if end == nil {
            if ladder.phase == .idle { checkLimits(now) }
            perform(ladder.advance(now: now))
        } else if killing == nil, let stragglerDeadline, now >= stragglerDeadline {
            killing = KillRounds(since: now)
        }
        killing?.advance(now, controlGroup: controlGroup)
    }

    private func checkLimits(_ now: Int64) {
        if let limit = spec.timeLimit, now - startedMonotonic >= limit {
            perform(ladder.request(reason: "timeout", plan: spec.plan, now: now))
        } else if let limit = spec.logBytesMax, ["stdout.log", "stderr.log"].contains(where: { size(of: $0) > limit }) {
            perform(ladder.request(reason: "log_limit", plan: spec.plan, now: now))
        }
    }

    private func size(of name: String) -> Int64 {
        var information = stat()
        return stat(name, &information) == 0 ? Int64(information.st_size) : 0
    }

    private func nextDeadline(_ now: Int64) -> Int64? {
        var deadlines = [killing?.next, killing == nil ? stragglerDeadline : nil]
        if end == nil {
            deadlines.append(ladder.deadline)
            if ladder.phase == .idle {
                deadlines.append(spec.timeLimit.map { startedMonotonic + $0 })
                deadlines.append(spec.logBytesMax.map { _ in now + Self.logCheckInterval })
            }
        }
        return deadlines.compactMap(\.self).min()
    }

    private func perform(_ actions: [StopLadder.Action]) {
        // Until it is reaped, and it is reaped only in `reap`, the worker's number can belong to no other process or group.
        for action in actions where end == nil {
            switch action {
            case .signalWorker(let signal): kill(worker, signal)
            case .terminateGroup(let signal):
                kill(-worker, signal)
                // A stopped process would not see SIGTERM before somebody continues it.
                kill(-worker, SIGCONT)
            case .killTree: killing = killing ?? KillRounds(since: Clock.monotonic())
            }
        }
    }

    private func record(survivors: [pid_t]) -> ExitRecord {
        ExitRecord(
            startedAt: startedAt, endedAt: end?.wallClock ?? Clock.wall(),
            wallTime: (end?.monotonicClock ?? Clock.monotonic()) - startedMonotonic, status: end?.status,
            stopReason: ladder.reason, startError: nil, survivors: survivors, oomKills: controlGroup?.oomKills())
    }

    // MARK: Commands

    /// Answers a command of ctl.sock.
    func answer(_ command: JSONValue) -> JSONValue {
        switch command["command"]?.string {
        case "status": return status()
        case "stop": return stop(command)
        case "signal": return signal(command)
        case "usage": return ["version": 1, "ok": true, "cpu_ms": .int(ProcessTree.cpuMilliseconds())]
        case "dump": return dumpStacks()
        case let name?: return ControlSocket.refusal("unknown command '\(name)'")
        case nil: return ControlSocket.refusal("the command has no member 'command'")
        }
    }

    private func status() -> JSONValue {
        let state = end != nil ? "ending" : ladder.phase == .idle ? "running" : "stopping"
        let remaining = spec.timeLimit.map { max(0, startedMonotonic + $0 - Clock.monotonic()) }
        return [
            "version": 1, "ok": true, "state": .string(state), "shim_pid": .int(Int64(getpid())), "child_pid": .int(Int64(worker)),
            "started_at_ms": .int(startedAt), "stop_reason": ladder.reason.map(JSONValue.string) ?? .null,
            "stop_phase": .string(ladder.name), "time_left_ms": remaining.map(JSONValue.int) ?? .null,
        ]
    }

    private func stop(_ command: JSONValue) -> JSONValue {
        guard let reason = command["reason"]?.string, !reason.isEmpty, reason.utf8.count <= 64 else {
            return ControlSocket.refusal("a stop needs a reason of at most 64 bytes")
        }
        let plan = StopPlan(command["ladder"] ?? .null, fallback: spec.plan)
        if end == nil { perform(ladder.request(reason: reason, plan: plan, now: Clock.monotonic())) } else { stragglerDeadline = 0 }
        return status()
    }

    private func dumpStacks() -> JSONValue {
        guard StackDump.write(of: ProcessTree.descendants(), to: "stacks.txt") else {
            return ControlSocket.refusal("cannot write stacks.txt: \(describe(errno))")
        }
        return status()
    }

    /// Sends a signal to the worker's first process, or with `"scope": "group"` to its process group.
    private func signal(_ command: JSONValue) -> JSONValue {
        guard let number = command["signal"]?.int, (1...64).contains(number) else {
            return ControlSocket.refusal("a signal needs a number from 1 to 64")
        }
        guard end == nil else { return ControlSocket.refusal("the worker has ended") }
        let target = command["scope"]?.string == "group" ? -worker : worker
        guard kill(target, Int32(number)) == 0 else { return ControlSocket.refusal("cannot signal the worker: \(describe(errno))") }
        return status()
    }
}

/// SIGKILL over the whole tree, again and again until it is gone: processes may be born while others are being killed.
private struct KillRounds {
    private static let intervalMin: Int64 = 10
    private static let intervalMax: Int64 = 500

    let since: Int64
    private(set) var next: Int64
    private var interval = Self.intervalMin

    init(since: Int64) {
        self.since = since
        next = since
    }

    mutating func advance(_ now: Int64, controlGroup: ControlGroup?) {
        guard now >= next else { return }
        // The scan also finds what has left the control group.
        _ = controlGroup?.kill()
        ProcessTree.killAll()
        next = now + interval
        interval = min(interval * 2, Self.intervalMax)
    }
}
