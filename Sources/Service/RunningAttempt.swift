import Diagnosis
import Domain
import EventLoop
import Scheduling
import Slurm
import Store
import Supervision
import Telemetry

/// An attempt whose worker is alive, with what follows it.
@LoopActor
final class RunningAttempt {
    /// The file of the attempt folder that its worker appends metrics to.
    nonisolated static let metricFile = "metrics.jsonl"

    let id: String
    let number: Int
    let directory: String
    let tokenHash: String
    let allocation: Allocation
    /// The step of the checkpoint it started from; `nil` where it started anew.
    let resumedFromStep: Int?
    let createdAt: Timestamp
    var handle: (any AttemptControl)?
    /// How it stands in the queue of its cluster; `nil` for one of this machine.
    var clusterWait: ClusterWait?
    /// The same as a job of Slurm.
    var slurm: SlurmAttempt? { handle as? SlurmAttempt }
    /// True once its end is known, though not yet written down.
    var hasEnded = false
    /// When its worker's program began, as this daemon saw it.
    var startedAt: Timestamp?
    /// Runs until the start is to be written down.
    var startTimer: LoopTimer?
    /// How far its files had been read by an earlier daemon, by name.
    var metricCursors: [String: MetricCursor] = [:]
    var metrics: AttemptFollower?
    /// Whether any point of it was kept.
    var hasMetrics = false
    /// Keys that came from the trainer itself, whose printed forms are of no further use.
    var reportedKeys: Set<String> = []
    var checkpoints: CheckpointWatcher?
    var progress = ProgressMeter()
    /// The newest checkpoint step seen.
    var lastCheckpointStep: Int?
    /// Bytes of the newest checkpoint, as a forecast of the next.
    var lastCheckpointBytes: Int64 = 0
    /// Ends when the last known change of its checkpoints is in the database, or failed.
    var checkpointWork: Task<Void, Never>?
    /// Looks for steps that stopped; `nil` where the job does not ask for it.
    var stall: StallWatch?
    /// Looks for a loss that is no number; `nil` where the job does not ask for it.
    var divergence: DivergenceWatch?
    /// How long it has held GPUs, and how long those did nothing, since that was last written down.
    var unsavedAccount = GPUAccount(gpuSeconds: 0, idleSeconds: 0)
    /// Since when none of its GPUs does anything.
    var idleSince: Timestamp?
    /// Of one on a cluster: when its node last told something, and when that was last kept, by the node's clock.
    var lastNodeReadingAt: Timestamp?
    var lastNodePointAt: Timestamp?
    /// Looks for what the spec's alerts describe.
    var alerts: [AlertWatch] = []
    /// What a watch saw before it stopped the attempt, in words.
    var finding: String?
    /// What the driver told of the attempt's GPUs while it ran.
    var gpuFaults: [GPUFault] = []

    init(
        id: String, number: Int, directory: String, tokenHash: String, allocation: Allocation, resumedFromStep: Int?, createdAt: Timestamp
    ) {
        self.id = id
        self.number = number
        self.directory = directory
        self.tokenHash = tokenHash
        self.allocation = allocation
        self.resumedFromStep = resumedFromStep
        self.createdAt = createdAt
    }
}
