import Devices
import Diagnosis
import Domain
import EventLoop
import JSON
import Logging
import Scheduling
import Slurm
import Store
import Supervision

/// The daemon's use cases: what can be asked of it, and what it does by itself.
///
/// Runs on the loop and owns the memory of all jobs that have not ended. The database and the attempt folders are the
/// truth; everything here is rebuilt from them at start. Files named `AnnealService+Topic` hold one use case each.
@LoopActor
public final class AnnealService {
    /// What the daemon is at.
    public enum Phase: Sendable, Equatable {
        /// Attempts of an earlier daemon are looked up; `done` of `total` are.
        case reconciling(done: Int, total: Int)
        case ready
        case stopping
    }

    public nonisolated let configuration: ServiceConfiguration
    public nonisolated let store: Store
    public nonisolated let log: Logger
    public nonisolated let identifiers = IdentifierSource()
    public nonisolated let devices: DeviceInventory
    public nonisolated let capacity: HostCapacity
    public let hub: EventHub
    /// Reads for streams.
    public let streamReads: ReadLine
    public internal(set) var phase = Phase.reconciling(done: 0, total: 0)
    public let startedAt: Timestamp

    let supervisor: Supervisor
    /// Who runs attempts elsewhere, by the cluster's name.
    let clusters: [String: SlurmExecutor]
    /// Hashes, copies and reads files, so that neither the loop nor the cooperative pool waits for a disk.
    let files = BlockingThread(name: "files")
    let hasher: ContentHasher
    /// Reads logs and artifacts for clients.
    public nonisolated let reading = BlockingThread(name: "reading")
    /// Reads whole datasets for clients, which can take long.
    let inspecting = BlockingThread(name: "inspecting")
    /// Parses and plans specs; a large one must not hold up the loop.
    let planner = BlockingThread(name: "planner")
    /// Asks the trainer what it can be told; other specs are planned meanwhile.
    let asking = BlockingThread(name: "trainer-args")
    /// What the installed trainer takes beyond its parameters.
    let trainArguments: TrainArgumentLists
    /// The secrets that jobs name.
    nonisolated let secrets: SecretSource
    /// Makes backups, and removes what retention lets go of.
    let backups = BlockingThread(name: "backup")
    /// Takes experiments in and out, which can take long.
    public nonisolated let transfers = BlockingThread(name: "transfers")
    /// The backup that is being made, or the last one.
    var backup: BackupRun?
    var isCollecting = false
    var scheduler: SchedulerState
    var jobs: [String: ActiveJob] = [:]
    /// The servers among them, by experiment and name.
    var servers: [String: ActiveJob] = [:]
    var attemptsByToken: [String: AttemptIdentity] = [:]
    let accessTokens = AccessTokens()
    let auditTrail: AuditTrail
    var projectQuotas: [String: ProjectQuota] = [:]
    /// Jobs of submissions that have passed their project's quota and are not on disk yet.
    var jobsOnTheirWay: [String: Int] = [:]
    /// How much each caller may ask.
    public let limiter: CallLimiter
    /// Of jobs that have just come into the queue, so that those that start at once need not be read again. A few at a time: the specs of
    /// all that wait would fill the memory.
    var startFactsAtHand: [String: StartFacts] = [:]
    var schedulingTimer: LoopTimer?
    /// Asks the driver, which at times takes long to answer.
    let gpuThread = BlockingThread(name: "gpus")
    /// GPUs of which something is to be said, by UUID.
    var gpuConditions: [String: GPUCondition] = [:]
    var sweepTimer: LoopTimer?
    var isSweeping = false
    var deviceWatch: DeviceWatch?
    var watchTimer: LoopTimer?
    var watchTicks = 0
    var isWatching = false
    var history = DeviceHistory()
    var webhookSender: WebhookSender?
    var sampleTimer: LoopTimer?
    var isSampling = false
    var lastAttribution = Timestamp(milliseconds: 0)
    /// The projects' usage as it was last written down.
    var savedUsage: [String: Double] = [:]
    /// Calls the container runtime, which at times takes long to answer.
    let containerThread = BlockingThread(name: "containers")
    /// True once the containers that an earlier daemon left have been looked for.
    var hasPreparedContainers = false
    /// How the memory of attempts is held to what they asked for.
    nonisolated let controlGroups: ControlGroupTree
    /// What log lines tell of the cause of a failure.
    nonisolated let causePatterns: CausePatterns

    public init(
        configuration: ServiceConfiguration, store: Store, devices: DeviceInventory, capacity: HostCapacity,
        causePatterns: CausePatterns = .builtIn, log: Logger
    ) {
        self.configuration = configuration
        self.store = store
        self.devices = devices
        self.capacity = capacity
        self.causePatterns = causePatterns
        self.log = log
        trainArguments = TrainArgumentLists(configuration)
        secrets = SecretSource(configuration.secrets)
        hub = EventHub()
        limiter = CallLimiter(configuration.callLimits)
        auditTrail = AuditTrail(store: store) { log.error("the audit log was not written", metadata: ["error": "\($0)"]) }
        streamReads = ReadLine(store: store)
        hasher = ContentHasher(store: store)
        controlGroups = ControlGroupTree.prepare()
        supervisor = Supervisor(
            shimPath: configuration.shimPath, attemptsDirectory: configuration.attemptsDirectory, controlGroups: controlGroups.placement)
        let secrets = secrets
        clusters = configuration.clusters.filter { !$0.isLocal }.reduce(into: [:]) {
            $0[$1.name] = SlurmExecutor(terms: $1, shimPath: configuration.seen(from: $1).shimPath) { name in
                try secrets.values(of: [name]).first?.value ?? ""
            }
        }
        scheduler = SchedulerState(capacity: capacity)
        startedAt = Timestamp(milliseconds: SystemTime.now())
    }

    var now: Timestamp { Timestamp(milliseconds: SystemTime.now()) }

    /// Runs work that must be done, such as writing down an end: while the disk is full it is tried again until there is room.
    func persistently(_ what: String, _ body: @escaping @LoopActor @Sendable () async throws -> Void) {
        background(what) { [self] in
            var delay: Duration = .milliseconds(100)
            while true {
                do {
                    return try await body()
                } catch let error as StoreError where error.isPassing && phase != .stopping {
                    log.error("\(what) failed, and is tried again", metadata: ["error": "\(error)"])
                    await withCheckedContinuation { continuation in _ = LoopTimer(after: delay) { continuation.resume() } }
                    delay = min(delay * 2, .seconds(5))
                }
            }
        }
    }

    /// Runs work that nobody waits for; what it throws is logged, never lost in silence.
    func background(_ what: String, _ body: @escaping @LoopActor @Sendable () async throws -> Void) {
        Task { @LoopActor in
            do {
                try await body()
            } catch {
                log.error("\(what) failed", metadata: ["error": "\(error)"])
            }
        }
    }
}

extension StoreError {
    /// True where the same write can succeed later, without anything having been changed by this one.
    var isPassing: Bool { [.diskFull, .inputOutput, .busy].contains(code) }
}
