import CPosix
import Glibc
import JSON

/// The workers of a batch job that has several nodes, as its first node sees them: srun starts an agent on each (see `NodeAgent`),
/// and what srun reads reaches all of them.
///
/// Signals to srun itself would not do: its answer to SIGTERM is to kill the whole step.
struct NodeGroup {
    /// Where the agents leave how their workers began and ended.
    static let folderName = "nodes"
    /// How long agents may take to kill their workers before srun itself is killed.
    static let killPatience: Int64 = 5_000
    /// How long the records of agents may take to be seen here once srun has ended.
    private static let recordPatience: Int64 = 10_000
    private static let recordPause: Int32 = 100
    /// Exit 75 of the worker contract: saved, and resumable.
    static let resumable: Int32 = 75

    let count: Int
    /// srun's standard input.
    let input: Int32
    private let orders: Int32

    init(count: Int) throws(StartError) {
        var ends: [Int32] = [-1, -1]
        guard cposix_pipe(&ends) == 0 else { throw StartError(step: "nodes", doing: "make a pipe", errorNumber: errno) }
        guard mkdir(Self.folderName, 0o700) == 0 || errno == EEXIST else {
            throw StartError(step: "nodes", doing: "make the folder of the nodes", errorNumber: errno)
        }
        (self.count, input, orders) = (count, ends[0], ends[1])
    }

    /// The same job as an order to srun: one agent on each node of the allocation.
    func launch(_ spec: Spec, folder: String) throws(StartError) -> Spec {
        guard let program = Self.ownPath() else { throw StartError(step: "nodes", doing: "find this program", errorNumber: errno) }
        var launch = spec
        launch.argv = [
            "srun", "--nodes=\(count)", "--ntasks=\(count)", "--ntasks-per-node=1", "--input=all", "--mpi=none", "--wait=0",
            // Agents hide the exit that means "saved": the others may still be saving.
            "--kill-on-bad-exit=1", "--export=ALL",
        ]
        let given = Dictionary(spec.environment.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
        // Since Slurm 22.05 a step does not take them over from its job.
        if let cpus = given["SLURM_CPUS_PER_TASK"] { launch.argv.append("--cpus-per-task=" + cpus) }
        launch.argv += [program, folder, "--node"]
        let free = try Self.freePort()
        let port = given["MASTER_PORT"] ?? String(free)
        let processes = spec.processesPerNode
        var variables = [
            "MASTER_PORT": port, "NNODES": String(count), "WORLD_SIZE": String(count * processes), "ANNEAL_NODES": String(count),
            // What torchrun takes for its options where the command line has none (torch/distributed/argparse_util.py).
            "PET_NNODES": String(count), "PET_NPROC_PER_NODE": String(processes), "PET_MASTER_PORT": port,
        ]
        for name in variables.keys where given[name] != nil { variables[name] = nil }
        launch.environment += variables.map { ($0.key, $0.value) }
        return launch
    }

    /// Hands an order to every agent.
    func send(_ order: NodeOrder) {
        // Agents that have gone read nothing; their end is seen by srun's.
        _ = writeAll(Array((order.text + "\n").utf8), to: orders)
    }

    /// The record of the attempt from how srun ended and from what the agents tell of their workers.
    func settle(_ record: ExitRecord) -> ExitRecord {
        var record = record
        guard let end = end(srun: record.status) else {
            // One that was told to end before its workers began needs no other reason.
            if record.stopReason == nil {
                record.startError = StartError(
                    step: "nodes", message: "srun started nothing on the \(count) nodes of the allocation; stderr.log has its words")
            }
            return record
        }
        record.usage = end.records.map(\.usage).reduce(.ofChildren(), +)
        if let culprit = end.culprit {
            (record.status, record.startError) = (culprit.status, culprit.startError)
            record.endedAt = min(record.endedAt, max(record.startedAt, culprit.endedAt))
            end.publishReport()
        } else if end.isIncomplete, record.status == 0 {
            record.status = nil
            record.startError = StartError(
                step: "nodes", message: "\(count - end.records.count) of \(count) nodes left no record of how their workers ended")
        }
        return record
    }

    /// How the workers ended, all in one, once srun has; `nil` where no agent has told anything.
    private func end(srun status: Int32?) -> NodeEnd? {
        let deadline = Clock.monotonic() + Self.recordPatience
        var records = readRecords()
        // A shared disk may show the last of them later.
        while status == 0, records.count < count, Clock.monotonic() < deadline {
            poll(nil, 0, Self.recordPause)
            records = readRecords()
        }
        guard !records.isEmpty else { return nil }
        let failed = records.filter { $0.status != 0 && $0.status.map(cposix_wait_exit_code) != Self.resumable || $0.startError != nil }
        var end = NodeEnd(records: records)
        if let first = failed.min(by: { $0.endedAt < $1.endedAt }) {
            end.culprit = first
        } else if let saved = records.first(where: { $0.status != 0 }) {
            end.culprit = saved
        } else if records.count < count || status != 0 {
            // Those that are missing were killed before they could tell.
            end.isIncomplete = true
        }
        return end
    }

    private func readRecords() -> [NodeRecord] { (0..<count).compactMap { NodeRecord(endOf: $0) } }

    private static func ownPath() -> String? {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        return length > 0 ? String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// A port that nobody on this node listens on now; the first worker will.
    private static func freePort() throws(StartError) -> UInt16 {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { if probe >= 0 { close(probe) } }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                probe >= 0 && bind(probe, $0, length) == 0 && getsockname(probe, $0, &length) == 0
            }
        }
        guard isBound else { throw StartError(step: "nodes", doing: "find a free port", errorNumber: errno) }
        return UInt16(bigEndian: address.sin_port)
    }
}

/// What an agent is told: a line of text.
enum NodeOrder {
    /// A signal to the worker's first process alone.
    case signalWorker(Int32)
    /// A signal to its process group.
    case signalGroup(Int32)
    /// SIGKILL to everything.
    case kill

    var text: String {
        switch self {
        case .signalWorker(let number): "worker \(number)"
        case .signalGroup(let number): "group \(number)"
        case .kill: "kill"
        }
    }

    /// Reads a line; `nil` for one that is none.
    init?(_ line: some StringProtocol) {
        let words = line.split(separator: " ")
        if words == ["kill"] {
            self = .kill
            return
        }
        guard words.count == 2, let number = Int32(words[1]), (1...64).contains(number) else { return nil }
        switch words[0] {
        case "worker": self = .signalWorker(number)
        case "group": self = .signalGroup(number)
        default: return nil
        }
    }
}

/// How the workers of all nodes ended.
struct NodeEnd {
    var records: [NodeRecord]
    /// Whose end is that of the attempt; `nil` where all ended well.
    var culprit: NodeRecord?
    /// Some have left no record.
    var isIncomplete = false

    init(records: [NodeRecord]) { self.records = records }

    /// Makes the first failure's own account of it the attempt's.
    func publishReport() {
        guard let culprit, culprit.rank > 0 else { return }
        rename(NodeRecord.outputsName(of: culprit.rank), "outputs.json")
        let fate =
            culprit.startError?.message
            ?? culprit.status.map { status in
                cposix_wait_signaled(status)
                    ? "ended by signal \(cposix_wait_signal(status))" : "ended with exit code \(cposix_wait_exit_code(status))"
            } ?? "ended"
        complainInLog("anneal-shim: node \(culprit.rank) (\(culprit.host)) was the first: \(fate)\n")
    }

    private func complainInLog(_ line: String) {
        let log = cposix_open(AT_FDCWD, "stderr.log", O_WRONLY | O_APPEND | O_CLOEXEC, 0)
        guard log >= 0 else { return }
        defer { close(log) }
        // A log that cannot be written is the disk's trouble, of which the record will tell.
        _ = writeAll(Array(line.utf8), to: log)
    }
}
