import CPosix
import Glibc
import JSON

/// A reason to end that reached a batch job's shim.
struct BatchOrder {
    var reason: String
    /// The daemon asked for it, by stop.json; else the cluster did, by a signal.
    var isDaemons: Bool
    var ladder: JSONValue?
    /// What its processes are at is wanted before the worker is asked to end.
    var dumpsStacks = false

    /// The longest grace after SIGTERM from the cluster, whose SIGKILL follows soon (slurm.conf: KillWait, 30 s where it is not set).
    private static let clusterGraceMax: Int64 = 20_000

    func plan(of spec: Spec) -> StopPlan {
        if isDaemons { return StopPlan(ladder ?? .null, fallback: spec.plan) }
        var plan = spec.plan
        let most = reason == BatchOrders.allocationEnds ? spec.allocationGrace : Self.clusterGraceMax
        if let most {
            plan.checkpointGrace = min(plan.checkpointGrace, most / 2)
            plan.terminateGrace = min(plan.terminateGrace, most - plan.checkpointGrace)
        }
        return plan
    }
}

/// What takes the place of the daemon's commands in a batch job: SIGUSR1 (the allocation ends soon, or stop.json is to be looked at),
/// SIGTERM (the cluster ends the job), and stop.json, which the daemon writes.
final class BatchOrders {
    static let allocationEnds = "allocation_ends"
    static let clusterSignal = "cluster_signal"
    /// Between two looks for stop.json, in milliseconds.
    static let lookInterval: Int64 = 1_000
    private static let fileBytesMax = 65_536

    private let wake: Int32
    private let terminate: Int32
    /// Of the newest stop.json that was obeyed.
    private var serial: Int64 = 0
    private var waiting: [BatchOrder] = []

    init() {
        // A batch script ignores them until the shim can take them; what is ignored would never be seen here.
        for number in [SIGUSR1, SIGTERM] { signal(number, SIG_DFL) }
        // The mask of the first call holds for the second, too; a descriptor that cannot be had is passed over by poll(2).
        wake = cposix_signal_descriptor(SIGUSR1)
        terminate = cposix_signal_descriptor(SIGTERM)
    }

    var pollEntries: [pollfd] { [wake, terminate].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) } }

    /// Takes what a poll found; false where it is not about this.
    func handle(_ entry: pollfd) -> Bool {
        guard entry.fd == wake || entry.fd == terminate else { return false }
        cposix_drain_signal_descriptor(entry.fd)
        let isWake = entry.fd == wake
        // A wake-up for an order of the daemon is no news of the cluster.
        if isWake, let order = readOrder() {
            waiting.append(order)
        } else if !isWake || serial == 0 {
            waiting.append(BatchOrder(reason: isWake ? Self.allocationEnds : Self.clusterSignal, isDaemons: false))
        }
        return true
    }

    /// The next order that was not taken yet.
    func next() -> BatchOrder? { waiting.isEmpty ? readOrder() : waiting.removeFirst() }

    /// Waits so many milliseconds for an order; true where one is there to be taken.
    func awaitOrder(_ milliseconds: Int32) -> Bool {
        var entries = pollEntries
        if poll(&entries, nfds_t(entries.count), milliseconds) > 0 {
            for entry in entries where entry.revents != 0 { _ = handle(entry) }
        }
        if waiting.isEmpty, let order = readOrder() { waiting.append(order) }
        return !waiting.isEmpty
    }

    private func readOrder() -> BatchOrder? {
        guard let bytes = readFile("stop.json", at: AT_FDCWD, limit: Self.fileBytesMax),
            let document = try? JSONParser.parse(bytes),  // it comes by a rename: what is no JSON is no order
            let number = document["serial"]?.int, Int64(number) > serial, let reason = document["reason"]?.string, !reason.isEmpty
        else { return nil }
        serial = Int64(number)
        return BatchOrder(reason: reason, isDaemons: true, ladder: document["ladder"], dumpsStacks: document["dump"]?.bool ?? false)
    }
}

/// What the batch system says of the job in its environment.
enum BatchAllocation {
    /// The environment of the batch job.
    static var environment: [(key: String, value: String)] {
        let bytes = readFile("/proc/self/environ", at: AT_FDCWD, limit: AttemptFolder.specBytesMax) ?? []
        return bytes.split(separator: 0).compactMap { entry in
            let parts = entry.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else { return nil }
            return (String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self))
        }
    }

    /// `batch` of shim.json: the allocation, with its GPUs by node and index.
    static func document(nodes: Int) -> JSONValue {
        [
            "job_id": jobID.map(JSONValue.string) ?? .null, "host": .string(host),
            "nodes": variable("SLURM_JOB_NODELIST").map(JSONValue.string) ?? .null, "node_count": .int(Int64(nodes)),
            "gpus": .array(gpuNames.map(JSONValue.string)),
        ]
    }

    /// What Slurm's programs call the job; the task of an array by the array's number and its own.
    private static var jobID: String? {
        if let array = variable("SLURM_ARRAY_JOB_ID"), let task = variable("SLURM_ARRAY_TASK_ID") { return array + "_" + task }
        return variable("SLURM_JOB_ID")
    }

    /// The node that this runs on.
    static var host: String { variable("SLURMD_NODENAME") ?? hostName() }

    /// The GPUs of the allocation on this node, by the node's numbers.
    static var gpuIndices: [Int] { expanded(variable("SLURM_JOB_GPUS") ?? variable("SLURM_STEP_GPUS") ?? "") }

    /// The same by the node's name and number.
    static var gpuNames: [String] { gpuIndices.map { "\(host):\($0)" } }

    /// `0,2-3` as 0, 2 and 3.
    static func expanded(_ list: String) -> [Int] {
        list.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last, last - first < 1024 else { return [] }
            return Array(first...last)
        }
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension Spec {
    /// The same with the variables of the batch job below its own.
    func inheriting(_ variables: [(key: String, value: String)]) -> Spec {
        let own = Set(environment.map(\.key))
        var spec = self
        spec.environment = variables.filter { !own.contains($0.key) } + environment
        return spec
    }
}

extension ExitRecord {
    /// The end of an attempt that was told to end before its worker had started.
    init(stoppedBeforeStart reason: String, at moment: Int64) {
        let error = StartError(step: "stopped", message: "it was told to end before it had started")
        self.init(startedAt: moment, endedAt: moment, wallTime: 0, stopReason: reason, startError: error)
    }
}
