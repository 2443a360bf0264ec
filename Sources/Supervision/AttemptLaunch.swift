import Glibc
import JSON

/// The steps by which a worker is asked to end: checkpoint signal, grace, SIGTERM, grace, SIGKILL.
///
/// The checkpoint signal goes to the worker's first process alone, because others of its tree that do not handle it would die of it.
/// SIGTERM goes to the worker's process group, SIGKILL to its whole tree.
public struct StopLadder: Sendable, Hashable {
    /// A signal that asks the worker to save; `nil` skips this step.
    public var checkpointSignal: Int32?
    /// What asks the worker's process group to end; SIGTERM but where its stacks are wanted.
    public var terminateSignal: Int32
    /// From the checkpoint signal to SIGTERM.
    public var checkpointGrace: Duration
    /// From SIGTERM to SIGKILL.
    public var terminateGrace: Duration

    /// Makes a ladder; without arguments the usual one.
    public init(
        checkpointSignal: Int32? = nil, checkpointGrace: Duration = .zero, terminateSignal: Int32 = SIGTERM,
        terminateGrace: Duration = .seconds(30)
    ) {
        self.terminateSignal = terminateSignal
        self.checkpointSignal = checkpointSignal
        self.checkpointGrace = checkpointGrace
        self.terminateGrace = terminateGrace
    }

    /// SIGKILL at once.
    public static let immediate = StopLadder(terminateGrace: .zero)

    /// The time after which nothing of the worker should be left.
    public var length: Duration { checkpointGrace + terminateGrace }

    var document: JSONValue {
        [
            "checkpoint_signal": checkpointSignal.map { .int(Int64($0)) } ?? .null,
            "checkpoint_grace_ms": .int(checkpointGrace.wholeMilliseconds),
            "terminate_signal": .int(Int64(terminateSignal)), "terminate_grace_ms": .int(terminateGrace.wholeMilliseconds),
        ]
    }
}

/// Where the control group (v2) of a worker's tree is made. It is best effort: without one the tree is found through /proc.
public enum ControlGroupPlacement: Sendable, Hashable {
    /// Below the group of the daemon, so that limits set on it hold for its workers.
    case belowOwn
    /// Below this folder of the cgroup file system.
    case below(String)
    case none
}

/// What to run as one attempt, and how.
public struct AttemptLaunch: Sendable {
    /// The attempt's folder. It is made where it is missing, and never used for two attempts.
    public var directory: String
    /// The program and its arguments. A program without a slash is looked up in the PATH of `environment`.
    public var argv: [String]
    /// The worker's whole environment; a later value of a variable replaces an earlier one. `ANNEAL_ATTEMPT_DIR` is added where missing.
    public var environment: [(String, String)]
    /// Further variables, whose values no file may hold: they reach the shim through memory, see `SecretHandover`.
    public var secrets: [(name: String, value: String)] = []
    /// How the secrets get to the shim.
    public var secretHandover = SecretHandover.descriptor
    /// Programs that are run, one after the other, when nothing of the worker is left and before its end is recorded.
    public var cleanUp: [CleanUpStep] = []
    public var workingDirectory: String
    /// Folders that are made before the start where they are missing, each with those above it; absolute paths.
    public var directories: [String]
    /// From the worker's start until the stop ladder begins with reason `timeout`.
    public var timeLimit: Duration?
    public var ladder: StopLadder
    /// How long processes that outlive the worker's first process may go on before they are killed.
    public var stragglerGrace: Duration
    /// Bytes that each of stdout.log and stderr.log may reach before the stop ladder begins with reason `log_limit`; `nil`: no limit.
    public var logBytesMax: Int64?
    public var controlGroup: ControlGroupPlacement
    /// Bytes of main memory that the worker's tree may use, where a control group can hold it to that; `nil`: no limit.
    public var memoryBytesMax: Int64?
    /// On a cluster: the longest that a worker may take to end when its allocation does; `nil` for that of the ladder.
    public var allocationGrace: Duration?
    /// From the start of its batch job until it is asked to save, where the cluster itself has not told it before.
    public var allocationTime: Duration?
    /// On a cluster: on how many nodes of its allocation the worker runs, and how many processes it is meant to have on each.
    public var nodes = 1
    public var processesPerNode = 1
    /// Written to job.json.
    public var jobDocument: JSONValue

    public init(
        directory: String, argv: [String], environment: [(String, String)], workingDirectory: String, timeLimit: Duration? = nil,
        ladder: StopLadder = StopLadder(), stragglerGrace: Duration = .seconds(2), logBytesMax: Int64? = nil,
        controlGroup: ControlGroupPlacement = .belowOwn, directories: [String] = [], memoryBytesMax: Int64? = nil, jobDocument: JSONValue
    ) {
        self.memoryBytesMax = memoryBytesMax
        self.directory = directory
        self.argv = argv
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.directories = directories
        self.timeLimit = timeLimit
        self.ladder = ladder
        self.stragglerGrace = stragglerGrace
        self.logBytesMax = logBytesMax
        self.controlGroup = controlGroup
        self.jobDocument = jobDocument
    }

    /// spec.json, which the shim reads.
    func specification(bootID: String) -> JSONValue {
        var variables: JSONObject = [ProcessScan.marker: .string(directory)]
        for (name, value) in environment { variables[name] = .string(value) }
        return [
            "version": 1, "boot_id": .string(bootID), "argv": .array(argv.map(JSONValue.string)), "environment": .object(variables),
            "working_directory": .string(workingDirectory),
            "time_limit_ms": timeLimit.map { .int($0.wholeMilliseconds) } ?? .null, "ladder": ladder.document,
            "straggler_grace_ms": .int(stragglerGrace.wholeMilliseconds), "log_bytes_max": logBytesMax.map(JSONValue.int) ?? .null,
            "allocation_grace_ms": allocationGrace.map { .int($0.wholeMilliseconds) } ?? .null,
            "allocation_time_ms": allocationTime.map { .int($0.wholeMilliseconds) } ?? .null,
            "nodes": .int(Int64(nodes)), "processes_per_node": .int(Int64(processesPerNode)),
            "control_group": controlGroupDocument, "memory_bytes_max": memoryBytesMax.map(JSONValue.int) ?? .null,
            "secrets": .array(secrets.map { .string($0.name) }), "clean_up": .array(cleanUp.map(\.document)),
        ]
    }

    private var controlGroupDocument: JSONValue {
        switch controlGroup {
        case .belowOwn: true
        case .below(let folder): .string(folder)
        case .none: false
        }
    }
}

extension Duration {
    /// Milliseconds, rounded up, so that a short grace does not become none.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? .max / 2 : whole + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
