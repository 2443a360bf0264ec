import Domain

/// What a supervisor tells of an attempt. `started` comes at most once; `ended` or `lost` comes last and once.
public enum AttemptEvent: Sendable {
    /// The worker's program runs; the time is in milliseconds since 1970.
    case started(pid: Int32, at: Int64)
    /// Nothing of the worker's tree is left (but for the record's survivors), and this is how it ended.
    case ended(ExitRecord)
    /// The shim died and left processes of the worker running. `lost` follows when they have ended.
    case unsupervised(UnsupervisedWorker)
    /// The outcome cannot be known, and this is why.
    case lost(evidence: String)
    /// It waits in the queue of a cluster, or the cluster has told its own name for it.
    case waiting(ClusterWait)
    /// It runs on these GPUs of a cluster, each by node and index.
    case placed(gpus: [String])
    /// The cluster says that it has ended, and the worker's supervisor had no time to say how; the last event, too.
    case vanished(cause: Reason, message: String)
}

/// How an attempt stands in the queue of a cluster.
public struct ClusterWait: Sendable, Equatable {
    /// The cluster's own name for it; `nil` while the cluster has not told it.
    public var externalID: String?
    /// The cluster's word for what it waits for, such as `Resources`.
    public var code: String
    /// The same for people.
    public var words: String
    /// When the cluster expects it to start, in milliseconds since 1970.
    public var expectedAtMs: Int64?

    /// Makes one from its parts.
    public init(externalID: String?, code: String, words: String, expectedAtMs: Int64? = nil) {
        (self.externalID, self.code, self.words, self.expectedAtMs) = (externalID, code, words, expectedAtMs)
    }
}

/// What a new supervisor found of an attempt that another one started.
public enum ReattachResult: Sendable {
    case ended(ExitRecord)
    /// The shim lives; events follow. `started` is among them only where the handle's `workerPID` is not known yet.
    case running(AttemptHandle)
    /// The shim is gone, but processes of the worker run. Its exit code will never be known. `lost` follows when they have ended.
    case unsupervised(UnsupervisedWorker)
    /// No line of the worker's program has run or will: the daemon died before its shim was on its way. It may be started anew.
    case neverStarted(evidence: String)
    /// The outcome cannot be known, and this is why; nothing of the worker runs.
    case lost(evidence: String)
}

/// An attempt's folder as a scan found it.
public struct AttemptListing: Sendable, Equatable {
    public var directory: String
    /// A shim holds the attempt's lock.
    public var hasLiveShim: Bool
    /// exit.json is there.
    public var hasExitRecord: Bool

    public init(directory: String, hasLiveShim: Bool, hasExitRecord: Bool) {
        self.directory = directory
        self.hasLiveShim = hasLiveShim
        self.hasExitRecord = hasExitRecord
    }
}

/// What a live shim says of its attempt.
public struct WorkerStatus: Sendable, Equatable {
    /// `running`, `stopping` (the stop ladder has begun) or `ending` (the worker has ended, others of its tree have not).
    public var state: String
    public var workerPID: Int32
    /// Milliseconds since 1970.
    public var startedAtMs: Int64
    public var stopReason: String?
    /// The rung of the stop ladder: `none`, `checkpoint`, `terminate` or `kill`.
    public var stopPhase: String
    /// Until the time limit.
    public var timeLeft: Duration?
}

/// What a worker's tree has used of the machine so far.
public struct WorkerUsage: Sendable, Hashable {
    /// Of all processes that live, those that they have waited for included.
    public var cpuSeconds: Double

    /// Makes one.
    public init(cpuSeconds: Double) { self.cpuSeconds = cpuSeconds }
}
