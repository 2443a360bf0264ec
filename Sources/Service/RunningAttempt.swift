import Domain
import EventLoop
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
    /// The step of the checkpoint it started from; `nil` where it started anew.
    let resumedFromStep: Int?
    var handle: AttemptHandle?
    /// How far the metrics file had been read by an earlier daemon.
    var metricCursor: MetricCursor?
    var metrics: MetricFollower?
    var checkpoints: CheckpointWatcher?
    var progress = ProgressMeter()
    /// The newest checkpoint step seen.
    var lastCheckpointStep: Int?

    init(id: String, number: Int, directory: String, tokenHash: String, resumedFromStep: Int?) {
        self.id = id
        self.number = number
        self.directory = directory
        self.tokenHash = tokenHash
        self.resumedFromStep = resumedFromStep
    }
}
