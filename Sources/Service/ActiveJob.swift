import Domain
import EventLoop
import Glibc
import Scheduling
import Specification
import Store
import Supervision

/// A job that has not ended, as the loop remembers it. What it weighs in memory is paid for every job that waits, so its
/// spec stays in the database.
@LoopActor
final class ActiveJob {
    let id: String
    let experimentID: String
    let project: String
    let resources: ResourceRequest
    let terms: SchedulingTerms
    let timeout: Duration?
    /// True for one that stands for the evaluations of all checkpoints of a training.
    let followsCheckpoints: Bool
    var priority: Int
    /// True while a user, or the spec, keeps the job in the queue.
    var isHeld: Bool
    /// When the job first came into the queue; a job that was preempted or is retried keeps its place by it.
    var queuedAt: Timestamp?
    /// Failed attempts in a row without progress.
    var failures: Int
    /// The furthest that an attempt has come by its metrics; `nil` where none since the daemon's start has told.
    var furthest: Double?
    /// GPUs on which an attempt of this job has met a fault.
    var avoidedGPUs: Set<String> = []
    /// Needs that have not ended.
    var pendingNeeds: Set<String>
    /// Jobs that need this one.
    var dependents: [String] = []
    /// What was asked of a job whose attempt is being started or runs.
    var stopRequest: StopRequest?
    /// The attempt that is being started or runs.
    var attempt: RunningAttempt?
    /// The folder of its last attempt on a cluster, behind which the next one's job may wait.
    var successorFolder: String?
    /// When its first attempt's program began.
    var firstStartedAt: Timestamp?
    /// What makes a job of kind `serve` a server; `nil` for all others.
    var server: ServerState?
    /// The servers that it uses, by their keys.
    var servers: [String] = []
    /// True while it is ready but for its servers, and so not in the scheduler's queue.
    var awaitsServer = false
    /// True while it is on its way from `waiting` into the queue.
    var isAdvancing = false
    /// True from the moment the scheduler chose the job until its attempt has ended.
    var isDispatched = false

    init(_ record: JobRecord, project: String, pendingNeeds: Set<String>) {
        id = record.id
        experimentID = record.experimentID
        self.project = project
        resources = record.resources
        terms = record.terms
        timeout = record.timeout
        followsCheckpoints = EveryCheckpoint(spec: record.spec) != nil
        priority = record.priority
        isHeld = record.isHeld
        queuedAt = record.queuedAt
        failures = record.failures
        firstStartedAt = record.startedAt
        self.pendingNeeds = pendingNeeds
    }

    /// What it takes of this machine.
    private var ownRequest: ResourceRequest { terms.cluster == nil ? resources : resources.besideCluster }

    /// What a worker's token stands for.
    func identity(ofAttempt attemptID: String) -> AttemptIdentity {
        AttemptIdentity(attemptID: attemptID, jobID: id, experimentID: experimentID, project: project)
    }

    /// The job as the scheduler sees it while it waits.
    func queued(notBefore: Timestamp?, now: Timestamp) -> QueuedJob {
        var entry = QueuedJob(id: id, priority: priority, enqueuedAt: queuedAt ?? now, request: ownRequest, notBefore: notBefore)
        entry.project = project
        entry.timeLimit = timeout
        entry.isPreemptible = terms.isPreemptible
        entry.concurrency = terms.concurrency
        entry.isHeld = isHeld
        entry.avoidedGPUs = avoidedGPUs
        return entry
    }

    /// The job as the scheduler sees it while it holds `allocation`, for one that an earlier daemon started.
    func running(_ allocation: Allocation, since start: Timestamp, lastSavedAt: Timestamp?) -> RunningJob {
        RunningJob(
            allocation: allocation, project: project, priority: priority, startedAt: start, endsBy: timeout.map { start + $0 },
            isPreemptible: terms.isPreemptible, concurrency: terms.concurrency, lastSavedAt: lastSavedAt, isStopping: stopRequest != nil)
    }
}

/// Why an attempt is asked to end. The raw value travels to the shim and comes back in the exit record.
enum StopRequest: String, Sendable, CaseIterable {
    case cancelled
    /// A newer job of its concurrency group replaces it.
    case superseded
    case paused
    /// A job of higher priority needs its GPUs.
    case preempted
    case stalled
    case nanLoss = "nan_loss"
    case diskFull = "disk_full"
    /// A rule of the spec came true.
    case alert
    /// A server that no job uses now.
    case idle
    /// The server that the job uses has gone, or goes.
    case serverLost = "server_lost"

    /// A later request replaces an earlier one only where it says more about what becomes of the job.
    private var rank: Int {
        switch self {
        case .cancelled, .superseded: 3
        case .paused: 2
        case .nanLoss, .diskFull, .alert: 1
        case .preempted, .stalled, .idle, .serverLost: 0
        }
    }

    func outranks(_ other: StopRequest?) -> Bool { other.map { rank > $0.rank } ?? true }

    /// The stop ladder that takes the place of the job's own: a stalled worker is asked for its stacks, not to save.
    var ladder: StopLadder? {
        switch self {
        case .stalled: StopLadder(terminateSignal: SIGABRT, terminateGrace: .seconds(10))
        default: nil
        }
    }

    /// The reason and the words of a job that is on its way to this end.
    var stopping: (Reason, String) {
        switch self {
        case .cancelled: (.cancelled, "being cancelled")
        case .superseded: (.superseded, "being replaced by a newer job of its concurrency group")
        case .paused: (.paused, "being paused")
        case .preempted: (.preempted, "makes room for a job of higher priority")
        case .stalled: (.stalled, "made no progress for too long")
        case .nanLoss: (.nanLoss, "the loss is no finite number any more")
        case .diskFull: (.diskFull, "paused before the disk is full")
        case .idle: (.serverIdle, "is being stopped, since no job uses it now")
        case .serverLost: (.serverLost, "its server went away; it runs again when there is one")
        case .alert: (.alert, "an alert of its spec asks for it to be stopped")
        }
    }
}
