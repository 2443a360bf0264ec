import JSON

/// How an attempt ended, as its shim wrote it to exit.json.
public struct ExitRecord: Sendable, Equatable {
    /// Why the worker could not be started.
    public struct StartError: Sendable, Equatable {
        /// A word that programs compare: `exec`, `working_directory`, `spec`, `log` …
        public var step: String
        /// As errno(3) has it; 0 where no system call failed.
        public var errorNumber: Int32
        public var message: String

        public init(step: String, errorNumber: Int32, message: String) {
            self.step = step
            self.errorNumber = errorNumber
            self.message = message
        }
    }

    /// The exit code of the worker's first process; `nil` where a signal ended it or it was not started.
    public var exitCode: Int32?
    /// The signal that ended the worker's first process.
    public var signal: Int32?
    public var coreDumped = false
    /// Milliseconds since 1970.
    public var startedAtMs: Int64
    /// Milliseconds since 1970; when the worker's first process ended.
    public var endedAtMs: Int64
    /// By a clock that never jumps.
    public var wall: Duration = .zero
    /// Of the whole tree.
    public var userCPU: Duration = .zero
    /// Of the whole tree.
    public var systemCPU: Duration = .zero
    /// Of the largest process of the tree.
    public var maxRSSBytes: Int64 = 0
    /// Why the worker had been asked to end before it ended: the reason given to `stop`, `timeout` or `log_limit`; `nil` where it ended
    /// by itself.
    public var stopReason: String?
    /// Set where no line of the program has run.
    public var startError: StartError?
    /// Processes of the tree that SIGKILL had not ended when the shim gave up.
    public var survivors: [Int32] = []
    /// Processes that the kernel killed for want of memory; `nil` where that cannot be known.
    public var oomKills: Int?

    public init(startedAtMs: Int64, endedAtMs: Int64) {
        self.startedAtMs = startedAtMs
        self.endedAtMs = endedAtMs
    }

    /// Reads exit.json; `nil` where it is none.
    init?(_ document: JSONValue) {
        guard document["version"]?.int != nil, let startedAt = document["started_at_ms"]?.int, let endedAt = document["ended_at_ms"]?.int
        else { return nil }
        self.init(startedAtMs: Int64(startedAt), endedAtMs: Int64(endedAt))
        exitCode = document["exit_code"]?.int.flatMap(Int32.init(exactly:))
        signal = document["signal"]?.int.flatMap(Int32.init(exactly:))
        coreDumped = document["core_dumped"]?.bool ?? false
        wall = Self.milliseconds(document["wall_ms"])
        userCPU = Self.milliseconds(document["user_cpu_ms"])
        systemCPU = Self.milliseconds(document["system_cpu_ms"])
        maxRSSBytes = Int64(document["max_rss_bytes"]?.int ?? 0)
        stopReason = document["stop_reason"]?.string
        startError = document["start_error"].flatMap(Self.startError)
        survivors = document["survivors"]?.array?.compactMap { $0.int.flatMap(Int32.init(exactly:)) } ?? []
        oomKills = document["oom_kills"]?.int
        // An end without any of the three is not one.
        guard exitCode != nil || signal != nil || startError != nil else { return nil }
    }

    private static func milliseconds(_ value: JSONValue?) -> Duration { .milliseconds(Int64(value?.int ?? 0)) }

    private static func startError(_ value: JSONValue) -> StartError? {
        guard let step = value["step"]?.string else { return nil }
        let errorNumber = value["errno"]?.int.flatMap(Int32.init(exactly:)) ?? 0
        return StartError(step: step, errorNumber: errorNumber, message: value["message"]?.string ?? step)
    }
}
