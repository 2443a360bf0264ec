import CPosix
import Glibc
import JSON

/// `anneal-shim <attempt-dir> --node`: runs the worker on one of several nodes, as a task of srun.
///
/// Orders come by standard input, which srun hands to every task; its end says that the attempt's shim, or srun, has gone. The first
/// node has the attempt's output, metrics and outputs.json; what the others print has the node's number before each line.
final class NodeAgent {
    private let rank: Int
    private let spec: Spec
    private let childSignals: Int32
    private var record: NodeRecord
    private var pipes: [PrefixedPipe] = []

    private var worker: pid_t = 0
    private var treeIsEmpty = false
    private var stragglerDeadline: Int64?
    private var killing: KillRounds?
    private var orders: [UInt8]? = []

    private static let ordersBytesMax = 65_536

    /// Returns what the task ends with: 0 also for a worker that saved and stopped, so that Slurm lets the others do so, too.
    static func run() -> Int32 {
        let rank = variable("SLURM_PROCID").flatMap { Int($0) } ?? 0
        var record = NodeRecord(rank: rank, host: BatchAllocation.host, gpus: BatchAllocation.gpuNames, startedAt: Clock.wall())
        do throws(StartError) {
            let agent = try NodeAgent(rank, record)
            try agent.start()
            return try agent.watch()
        } catch {
            complain("on node \(rank) (\(record.host)): \(error.message)")
            (record.startError, record.endedAt) = (error, Clock.wall())
            // Where even this cannot be written srun's own end has to do.
            try? AttemptFolder.replace(NodeRecord.name(of: rank), with: record.document)
            return 1
        }
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private init(_ rank: Int, _ record: NodeRecord) throws(StartError) {
        (self.rank, self.record) = (rank, record)
        guard let bytes = readFile("spec.json", at: AT_FDCWD, limit: AttemptFolder.specBytesMax) else {
            throw StartError(step: "spec", doing: "read spec.json", errorNumber: errno)
        }
        do {
            spec = Self.placed(try Spec(parsing: bytes), rank)
        } catch {
            throw StartError(step: "spec", message: error.message)
        }
        guard cposix_set_child_subreaper() == 0 else {
            throw StartError(step: "subreaper", doing: "become the reaper of orphans", errorNumber: errno)
        }
        childSignals = cposix_signal_descriptor(SIGCHLD)
        guard childSignals >= 0 else { throw StartError(step: "signals", doing: "watch for child processes", errorNumber: errno) }
    }

    /// The job with the environment that srun brought, which the attempt's shim has made, and this node's place in it.
    private static func placed(_ spec: Spec, _ rank: Int) -> Spec {
        var placed = spec
        var variables = Dictionary(BatchAllocation.environment.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
        // srun runs on the first node, where the first worker is.
        let address = variables["MASTER_ADDR"] ?? variables["SLURM_LAUNCH_NODE_IPADDR"] ?? "127.0.0.1"
        var own = ["MASTER_ADDR": address, "NODE_RANK": String(rank), "PET_NODE_RANK": String(rank), "PET_MASTER_ADDR": address]
        if rank > 0, let folder = variables["ANNEAL_ATTEMPT_DIR"] ?? variables[containerPrefix + "ANNEAL_ATTEMPT_DIR"] {
            own["ANNEAL_OUTPUTS"] = folder + "/" + NodeRecord.outputsName(of: rank)
            own["ANNEAL_METRICS"] = folder + "/" + NodeRecord.metricsName(of: rank)
        }
        for (name, value) in own {
            variables[name] = value
            if variables[containerPrefix + name] != nil { variables[containerPrefix + name] = value }
        }
        placed.environment = variables.map { ($0.key, $0.value) }
        return placed
    }

    /// Stands before what apptainer is to hand in.
    private static let containerPrefix = "APPTAINERENV_"

    private func start() throws(StartError) {
        let input = cposix_open(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0)
        guard input >= 0 else { throw StartError(step: "stdio", doing: "open /dev/null", errorNumber: errno) }
        var streams: [Int32] = []
        defer { for descriptor in streams + [input] { close(descriptor) } }
        for target in [STDOUT_FILENO, STDERR_FILENO] {
            if rank == 0 {
                streams.append(fcntl(target, F_DUPFD_CLOEXEC, 3))
            } else {
                let pipe = try PrefixedPipe(to: target, prefix: "[node \(rank)] ")
                pipes.append(pipe)
                streams.append(pipe.writeEnd)
            }
        }
        // Where Slurm kills the agent nobody else may know of the worker.
        var held = try HeldWorker(
            spec, input: input, output: streams[0], errors: streams[1], controlGroup: nil, parentDeathSignal: SIGKILL)
        do throws(StartError) {
            try AttemptFolder.replace(NodeRecord.name(of: rank), with: record.document)
        } catch {
            held.abandon()
            throw error
        }
        worker = held.pid
        try held.release()
    }

    private func watch() throws(StartError) -> Int32 {
        while true {
            reap()
            let now = Clock.monotonic()
            if record.endedAt > 0, treeIsEmpty { break }
            if killing == nil, let stragglerDeadline, now >= stragglerDeadline { killing = KillRounds(since: now) }
            killing?.advance(now, controlGroup: nil)
            // What cannot be killed is left to Slurm.
            if let killing, now - killing.since >= spec.killPatience { break }
            wait(now)
        }
        for pipe in pipes { pipe.finish() }
        record.usage = .ofChildren()
        if record.endedAt == 0 { record.endedAt = Clock.wall() }
        try AttemptFolder.replace(NodeRecord.name(of: rank), with: record.document)
        guard let status = record.status else { return 1 }
        let code = cposix_wait_exited(status) ? cposix_wait_exit_code(status) : 128 + cposix_wait_signal(status)
        return code == NodeGroup.resumable ? 0 : code
    }

    private func wait(_ now: Int64) {
        var entries = [pollfd(fd: childSignals, events: Int16(POLLIN), revents: 0)]
        // The end of the orders is told only once.
        entries.append(pollfd(fd: orders == nil ? -1 : STDIN_FILENO, events: Int16(POLLIN), revents: 0))
        entries += pipes.map(\.pollEntry)
        let deadline = [killing?.next, killing == nil ? stragglerDeadline : nil].compactMap(\.self).min()
        guard poll(&entries, nfds_t(entries.count), deadline.map { Int32(clamping: max(0, $0 - now)) } ?? -1) > 0 else { return }
        if entries[0].revents != 0 { cposix_drain_signal_descriptor(childSignals) }
        if entries[1].revents != 0 { readOrders() }
        for (pipe, entry) in zip(pipes, entries.dropFirst(2)) where entry.revents != 0 { pipe.pass() }
    }

    private func reap() {
        treeIsEmpty = ProcessTree.reap { pid, status in
            guard pid == worker else { return }
            (record.status, record.endedAt) = (status, Clock.wall())
            stragglerDeadline = Clock.monotonic() + spec.stragglerGrace
        }
    }

    private func readOrders() {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        let count = read(STDIN_FILENO, &chunk, chunk.count)
        if count < 0, errno == EINTR || errno == EAGAIN { return }
        guard count > 0, var bytes = orders, bytes.count < Self.ordersBytesMax else {
            orders = nil
            return obey(.kill)
        }
        bytes += chunk[..<count]
        while let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
            if let order = NodeOrder(String(decoding: bytes[..<end], as: UTF8.self)) { obey(order) }
            bytes.removeSubrange(...end)
        }
        orders = bytes
    }

    private func obey(_ order: NodeOrder) {
        // Until it is reaped the worker's number can belong to no other process or group.
        let isAlive = record.endedAt == 0
        switch order {
        case .signalWorker(let number): if isAlive { kill(worker, number) }
        case .signalGroup(let number):
            guard isAlive else { return }
            kill(-worker, number)
            kill(-worker, SIGCONT)
        case .kill: killing = killing ?? KillRounds(since: Clock.monotonic())
        }
    }
}

/// A worker's output on its way to where all nodes' come together: whole lines, each with its node before it.
private final class PrefixedPipe {
    private static let lineBytesMax = 65_536

    let writeEnd: Int32
    private let readEnd: Int32
    private let target: Int32
    private let prefix: [UInt8]
    private var line: [UInt8] = []
    private var isOver = false

    var pollEntry: pollfd { pollfd(fd: isOver ? -1 : readEnd, events: Int16(POLLIN), revents: 0) }

    init(to target: Int32, prefix: String) throws(StartError) {
        var ends: [Int32] = [-1, -1]
        guard cposix_pipe(&ends) == 0 else { throw StartError(step: "stdio", doing: "make a pipe", errorNumber: errno) }
        (readEnd, writeEnd, self.target, self.prefix) = (ends[0], ends[1], target, Array(prefix.utf8))
        _ = fcntl(readEnd, F_SETFL, O_NONBLOCK)
    }

    /// Hands on what is there; false where there is nothing.
    @discardableResult
    func pass() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = read(readEnd, &chunk, chunk.count)
        if count == 0 { isOver = true }
        guard count > 0 else { return false }
        line += chunk[..<count]
        var lines: [UInt8] = []
        var start = line.startIndex
        while let end = line[start...].firstIndex(of: UInt8(ascii: "\n")) {
            lines += prefix + line[start...end]
            start = end + 1
        }
        line.removeSubrange(..<start)
        if line.count > Self.lineBytesMax {
            lines += prefix + line + [UInt8(ascii: "\n")]
            line = []
        }
        // Where nobody takes it any more nothing is left to be told.
        _ = writeAll(lines, to: target)
        return true
    }

    /// Hands on the rest, once nobody writes any more.
    func finish() {
        while pass() {}
        if !line.isEmpty { _ = writeAll(prefix + line + [UInt8(ascii: "\n")], to: target) }
        line = []
    }
}
