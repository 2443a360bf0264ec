/// The machine-readable reason of a state; a lower-case word that clients compare.
public struct Reason: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    private init(_ rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    // Ends of an attempt.
    public static let succeeded = Reason("succeeded")
    /// The worker refused its request (exit 64).
    public static let badConfig = Reason("bad_config")
    /// The worker refused its data (exit 65).
    public static let badData = Reason("bad_data")
    /// The worker saved its progress and asks to be resumed (exit 75).
    public static let interrupted = Reason("interrupted")
    /// The worker ended with another non-zero exit code.
    public static let crashed = Reason("crashed")
    /// A signal that Anneal did not send ended the worker.
    public static let killed = Reason("killed")
    /// A module or shared library that the worker needs is not installed.
    public static let importError = Reason("import_error")
    /// A GPU had no memory left.
    public static let cudaOOM = Reason("cuda_oom")
    /// The kernel, or a memory limit, ended the worker for want of main memory.
    public static let hostOOM = Reason("host_oom")
    /// The loss was no finite number for too many steps.
    public static let nanLoss = Reason("nan_loss")
    /// A rule of the spec asked for it to be stopped.
    public static let alert = Reason("alert")
    /// The steps stopped, without an end.
    public static let stalled = Reason("stalled")
    /// Collective communication between GPUs failed or timed out.
    public static let ncclError = Reason("nccl_error")
    /// The driver or the hardware reported a fault of a GPU.
    public static let gpuFault = Reason("gpu_fault")
    /// A remote host could not be reached, or broke off.
    public static let network = Reason("network")
    /// The worker wrote more log than it may.
    public static let logLimit = Reason("log_limit")
    /// It failed, and nothing tells why.
    public static let unknown = Reason("unknown")
    public static let timeout = Reason("timeout")
    public static let cancelled = Reason("cancelled")
    public static let paused = Reason("paused")
    public static let preempted = Reason("preempted")
    public static let diskFull = Reason("disk_full")
    /// The worker could not be started at all (no such program, no permission, no folder).
    public static let startFailed = Reason("start_failed")
    /// An evaluation missed its gate.
    public static let gateFailed = Reason("gate_failed")
    /// The model server of an evaluation never became healthy or died.
    public static let serverFailed = Reason("server_failed")
    /// The server that a job asked went away while it ran.
    public static let serverLost = Reason("server_lost")
    /// No job uses the server now, or none that could does so yet.
    public static let serverIdle = Reason("server_idle")
    /// Supervisor and exit record are both gone.
    public static let supervisorLost = Reason("supervisor_lost")
    public static let hostRebooted = Reason("host_rebooted")
    /// Its allocation on a cluster came to its end.
    public static let allocationEnded = Reason("allocation_ended")
    /// The node of a cluster that it ran on failed.
    public static let nodeFailed = Reason("node_failed")
    /// Somebody cancelled it in the cluster itself.
    public static let clusterCancelled = Reason("cluster_cancelled")
    /// It ran when the backup was taken that the daemon was restored from.
    public static let restored = Reason("restored")
    /// It had not ended when its experiment was exported from the daemon that it came from.
    public static let imported = Reason("imported")
    /// A reference could not be resolved to an artifact.
    public static let badReference = Reason("bad_reference")

    // Why a job is where it is.
    /// An equal job has succeeded before; its outputs are used.
    public static let cached = Reason("cached")
    public static let needsPending = Reason("needs_pending")
    /// It is ready to run once the server that it uses is.
    public static let serverPending = Reason("server_pending")
    public static let needFailed = Reason("need_failed")
    public static let conditionFalse = Reason("condition_false")
    public static let insufficientResources = Reason("insufficient_resources")
    /// A user holds it back, or its spec does.
    public static let held = Reason("held")
    /// Its concurrency group is full.
    public static let concurrencyLimit = Reason("concurrency_limit")
    /// Its project has reached its quota.
    public static let quotaExceeded = Reason("quota_exceeded")
    /// A newer job of its concurrency group replaced it.
    public static let superseded = Reason("superseded")
    /// It was handed to a cluster, in whose own queue it waits.
    public static let inClusterQueue = Reason("in_cluster_queue")
    public static let retryDelay = Reason("retry_delay")
    public static let userRequest = Reason("user_request")
}
