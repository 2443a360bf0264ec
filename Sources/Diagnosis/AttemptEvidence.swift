import Domain
import JSON

/// Everything that is known of an attempt's end.
public struct AttemptEvidence: Sendable {
    /// `nil` where a signal ended the worker, or nothing is known.
    public var exitCode: Int32?
    public var signal: Int32?
    /// Why the supervisor was told to stop the worker: `cancelled`, `paused`, `preempted`, `timeout`, `stalled` and so on.
    public var stopReason: String?
    /// Why the worker could not be started.
    public var startError: String?
    /// Processes that the kernel killed for want of memory; `nil` where that cannot be known.
    public var oomKills: Int?
    /// The last lines of each log.
    public var stderrTail = ""
    public var stdoutTail = ""
    /// What the worker itself said in its outputs.json.
    public var reportedReason: Reason?
    public var reportedMessage: String?
    /// Why outputs.json cannot be used.
    public var reportFault: String?
    /// Which conditions of an evaluation's gate were missed, in words.
    public var missedGate: String?
    /// What the driver told of its GPUs while it ran.
    public var gpuFaults: [GPUFault] = []
    /// What a watch saw before it had the attempt stopped.
    public var finding: String?

    /// Knows nothing; the members are set after.
    public init() {}
}

/// One thing that tells of a cause.
public struct Evidence: Sendable, Equatable {
    /// `log`, `exit`, `cgroup`, `gpu`, `worker` or `watch`.
    public var kind: String
    /// In words.
    public var message: String
    public var data: JSONValue

    /// Makes one from its parts.
    public init(kind: String, message: String, data: JSONValue) { (self.kind, self.message, self.data) = (kind, message, data) }

    /// As it is kept: an array of objects.
    public static func document(_ evidence: [Evidence]) -> JSONValue {
        .array(evidence.map { ["kind": .string($0.kind), "message": .string($0.message), "data": $0.data] })
    }
}
