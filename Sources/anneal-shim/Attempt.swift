import CPosix
import Glibc
import JSON

/// A worker that runs, watched until nothing of its tree is left.
final class Attempt {
    private let spec: Spec
    private let worker: pid_t
    private let controlGroup: ControlGroup?
    private let childSignals: Int32
    private let batch: BatchOrders?
    /// Those that the worker runs on, where they are several; it is srun here then.
    private let nodes: NodeGroup?
    private let heartbeat: Heartbeat?
    /// When the worker of a batch job is asked to save.
    private let allocationEnd: Int64?
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

    init(
        spec: Spec, worker: pid_t, startedAt: Int64, controlGroup: ControlGroup?, childSignals: Int32, batch: BatchOrders? = nil,
        nodes: NodeGroup? = nil
    ) {
        (self.batch, self.nodes) = (batch, nodes)
        // The script has become the shim, so that its age is the allocation's.
        allocationEnd = batch == nil ? nil : spec.allocationTime.map { Clock.monotonic() - Clock.ageOfProcess() + $0 }
        heartbeat = batch.map { _ in Heartbeat(now: Clock.monotonic()) }
        self.spec = spec
        self.worker = worker
        self.startedAt = startedAt
        self.controlGroup = controlGroup
        self.childSignals = childSignals
    }

    /// Returns when the tree has ended, or when what is left of it after the worker's own end cannot be killed.
    func run(control: ControlSocket?) -> ExitRecord {
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

    private func wait(until deadline: Int64?, now: Int64, control: ControlSocket?) {
        var entries = (control?.pollEntries ?? []) + (batch?.pollEntries ?? [])
        entries.append(pollfd(fd: childSignals, events: Int16(POLLIN), revents: 0))
        let timeout = deadline.map { Int32(clamping: max(0, $0 - now)) } ?? -1
        guard poll(&entries, nfds_t(entries.count), timeout) > 0 else { return }
        for entry in entries where entry.revents != 0 {
            if entry.fd == childSignals {
                cposix_drain_signal_descriptor(childSignals)
            } else if batch?.handle(entry) != true {
                control?.handle(entry)
            }
        }
    }

    /// Reaps every child that has ended: the worker, and orphans of its tree, which the kernel gives to the shim.
    private func reap() {
        treeIsEmpty = ProcessTree.reap { pid, status in
            if pid == worker { workerEnded(status: status) }
        }
    }

    private func workerEnded(status: Int32) {
        let now = Clock.monotonic()
        end = WorkerEnd(status: status, wallClock: Clock.wall(), monotonicClock: now)
        // Stragglers of a worker that was told to end have had their warning: they get no more than was left of its grace.
        // What a killed client of a container runtime leaves is the container itself, which is cleaned up at once.
        let grace = cposix_wait_signaled(status) && !spec.cleanUp.isEmpty ? 0 : spec.stragglerGrace
        stragglerDeadline = min(now + grace, ladder.deadline ?? .max)
    }

    // MARK: Deadlines

    private func advance(_ now: Int64) {
        if let order = batch?.next() { obey(order, now) }
        heartbeat?.advance(now)
        if end == nil {
            if ladder.phase == .idle { checkLimits(now) }
            perform(ladder.advance(now: now))
        } else if killing == nil, let stragglerDeadline, now >= stragglerDeadline {
            killing = KillRounds(since: now)
        }
        killing?.advance(now, controlGroup: controlGroup)
    }

    /// What the cluster tells while the worker ends already hastens it, and is not why it ends.
    private func obey(_ order: BatchOrder, _ now: Int64) {
        guard end == nil else { return stragglerDeadline = order.isDaemons ? 0 : stragglerDeadline }
        // As for a worker at home: what cannot be written is done without.
        if order.dumpsStacks { _ = StackDump.write(of: ProcessTree.descendants(), to: "stacks.txt") }
        let reason = order.isDaemons ? order.reason : ladder.reason ?? order.reason
        perform(ladder.request(reason: reason, plan: order.plan(of: spec), now: now))
    }

    private func checkLimits(_ now: Int64) {
        if let end = allocationEnd, now >= end { return obey(BatchOrder(reason: BatchOrders.allocationEnds, isDaemons: false), now) }
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
        var deadlines = [killing?.next, killing == nil ? stragglerDeadline : nil, batch.map { _ in now + BatchOrders.lookInterval }]
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
            case .signalWorker(let signal): _ = send(signal, toGroup: false)
            case .terminateGroup(let signal):
                _ = send(signal, toGroup: true)
                // A stopped process would not see SIGTERM before somebody continues it.
                if nodes == nil { kill(-worker, SIGCONT) }
            case .killTree:
                nodes?.send(.kill)
                let delay = nodes == nil ? 0 : NodeGroup.killPatience
                killing = killing ?? KillRounds(since: Clock.monotonic(), delay: delay)
            }
        }
    }

    /// Signals the worker wherever it runs; false with errno where that fails.
    private func send(_ signal: Int32, toGroup: Bool) -> Bool {
        guard let nodes else { return kill(toGroup ? -worker : worker, signal) == 0 }
        nodes.send(toGroup ? .signalGroup(signal) : .signalWorker(signal))
        return true
    }

    private func record(survivors: [pid_t]) -> ExitRecord {
        let record = ExitRecord(
            startedAt: startedAt, endedAt: end?.wallClock ?? Clock.wall(),
            wallTime: (end?.monotonicClock ?? Clock.monotonic()) - startedMonotonic, status: end?.status,
            stopReason: ladder.reason, startError: nil, survivors: survivors, oomKills: controlGroup?.oomKills())
        return nodes?.settle(record) ?? record
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
        guard send(Int32(number), toGroup: command["scope"]?.string == "group") else {
            return ControlSocket.refusal("cannot signal the worker: \(describe(errno))")
        }
        return status()
    }
}
