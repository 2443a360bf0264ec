import CPosix
import Glibc
import JSON

/// How the worker's first process ended.
struct WorkerEnd {
    /// As wait(2) has it.
    var status: Int32
    var wallClock: Int64
    var monotonicClock: Int64
}

/// What exit.json says. Times are milliseconds; `wall_ms`, the processor times and the memory count the whole tree.
struct ExitRecord {
    static let version = 1
    private static let messageBytesMax = 2_048
    private static let survivorsMax = 64

    var startedAt: Int64
    var endedAt: Int64
    var wallTime: Int64
    /// `nil` where the worker could not be started.
    var status: Int32?
    var stopReason: String?
    var startError: StartError?
    var survivors: [pid_t] = []
    var oomKills: Int?
    /// Of a worker whose processes were not this one's children.
    var usage: WorkerUsage?

    /// What a batch job ends with, so that its cluster counts it as what it is: the worker's code, or 128 and the number of its signal.
    var batchExitCode: Int32 {
        guard let status else { return 1 }
        return cposix_wait_exited(status) ? cposix_wait_exit_code(status) : 128 + cposix_wait_signal(status)
    }

    func document() -> JSONValue {
        let usage = usage ?? .ofChildren()
        var record: JSONObject = ["version": .int(Int64(Self.version))]
        record["exit_code"] = status.flatMap { cposix_wait_exited($0) ? .int(Int64(cposix_wait_exit_code($0))) : nil } ?? .null
        record["signal"] = status.flatMap { cposix_wait_signaled($0) ? .int(Int64(cposix_wait_signal($0))) : nil } ?? .null
        record["core_dumped"] = .bool(status.map { cposix_wait_signaled($0) && cposix_wait_dumped_core($0) } ?? false)
        record["started_at_ms"] = .int(startedAt)
        record["ended_at_ms"] = .int(endedAt)
        record["wall_ms"] = .int(wallTime)
        record["user_cpu_ms"] = .int(usage.userTime)
        record["system_cpu_ms"] = .int(usage.systemTime)
        record["max_rss_bytes"] = .int(usage.memoryMax)
        record["stop_reason"] = stopReason.map(JSONValue.string) ?? .null
        record["start_error"] = startError.map(Self.document) ?? .null
        record["survivors"] = .array(survivors.prefix(Self.survivorsMax).map { .int(Int64($0)) })
        record["oom_kills"] = oomKills.map { .int(Int64($0)) } ?? .null
        return .object(record)
    }

    private static func document(_ error: StartError) -> JSONValue {
        let message = String(decoding: error.message.utf8.prefix(messageBytesMax), as: UTF8.self)
        return ["step": .string(error.step), "errno": .int(Int64(error.errorNumber)), "message": .string(message)]
    }
}
