import Glibc
import JSON

/// What the agent of a node tells of its worker, in a file of its own: how it began, and later how it ended.
struct NodeRecord {
    var rank: Int
    var host: String
    /// Those of the allocation on this node, each by node and index.
    var gpus: [String]
    var startedAt: Int64
    var endedAt: Int64 = 0
    /// As wait(2) has it; `nil` while it runs, and where it could not be started.
    var status: Int32?
    var startError: StartError?
    var usage = WorkerUsage()

    static func name(of rank: Int) -> String { "\(NodeGroup.folderName)/node_\(rank).json" }
    /// Where the worker of a node but the first tells of what it made.
    static func outputsName(of rank: Int) -> String { "\(NodeGroup.folderName)/node_\(rank).outputs.json" }
    /// The same of its metrics, which nobody reads but people.
    static func metricsName(of rank: Int) -> String { "\(NodeGroup.folderName)/node_\(rank).metrics.jsonl" }

    var document: JSONValue {
        [
            "version": 1, "rank": .int(Int64(rank)), "host": .string(host), "gpus": .array(gpus.map(JSONValue.string)),
            "started_at_ms": .int(startedAt), "ended_at_ms": endedAt > 0 ? .int(endedAt) : .null,
            "status": status.map { .int(Int64($0)) } ?? .null,
            "start_error": startError.map {
                ["step": .string($0.step), "errno": .int(Int64($0.errorNumber)), "message": .string($0.message)]
            }
                ?? .null,
            "user_cpu_ms": .int(usage.userTime), "system_cpu_ms": .int(usage.systemTime), "max_rss_bytes": .int(usage.memoryMax),
        ]
    }

    private static let bytesMax = 1 << 20

    init(rank: Int, host: String, gpus: [String], startedAt: Int64) {
        (self.rank, self.host, self.gpus, self.startedAt) = (rank, host, gpus, startedAt)
    }

    /// Reads the record of a worker that has ended; `nil` where there is none.
    init?(endOf rank: Int) {
        guard let bytes = readFile(Self.name(of: rank), at: AT_FDCWD, limit: Self.bytesMax),
            let document = try? JSONParser.parse(bytes),  // it comes by a rename: what is no JSON is none of ours
            let endedAt = document["ended_at_ms"]?.int
        else { return nil }
        self.init(
            rank: rank, host: document["host"]?.string ?? "", gpus: document["gpus"]?.array?.compactMap(\.string) ?? [],
            startedAt: Int64(document["started_at_ms"]?.int ?? 0))
        self.endedAt = Int64(endedAt)
        status = document["status"]?.int.map(Int32.init)
        if let error = document["start_error"], let message = error["message"]?.string {
            startError = StartError(step: error["step"]?.string ?? "", errorNumber: Int32(error["errno"]?.int ?? 0), message: message)
        }
        usage = WorkerUsage(
            userTime: Int64(document["user_cpu_ms"]?.int ?? 0), systemTime: Int64(document["system_cpu_ms"]?.int ?? 0),
            memoryMax: Int64(document["max_rss_bytes"]?.int ?? 0))
    }
}

/// What processes that were waited for have used: milliseconds and bytes.
struct WorkerUsage {
    var userTime: Int64 = 0
    var systemTime: Int64 = 0
    /// Of the largest of them.
    var memoryMax: Int64 = 0

    init(userTime: Int64 = 0, systemTime: Int64 = 0, memoryMax: Int64 = 0) {
        (self.userTime, self.systemTime, self.memoryMax) = (userTime, systemTime, memoryMax)
    }

    /// That of this process's children.
    static func ofChildren() -> WorkerUsage {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        // getrusage(2): the memory is in kilobytes.
        return WorkerUsage(
            userTime: milliseconds(usage.ru_utime), systemTime: milliseconds(usage.ru_stime), memoryMax: Int64(usage.ru_maxrss) * 1024)
    }

    /// That of several nodes.
    static func + (one: WorkerUsage, other: WorkerUsage) -> WorkerUsage {
        WorkerUsage(
            userTime: one.userTime + other.userTime, systemTime: one.systemTime + other.systemTime,
            memoryMax: max(one.memoryMax, other.memoryMax))
    }

    private static func milliseconds(_ time: timeval) -> Int64 { Int64(time.tv_sec) * 1000 + Int64(time.tv_usec) / 1000 }
}
