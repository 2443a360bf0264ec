import APITypes
import Domain
import EventLoop
import JSON
import Store

// What can be asked about experiments, jobs and the queue.
extension AnnealService {
    // MARK: Experiments

    /// Experiments, newest first, without their specs.
    public func experiments(
        state: ExperimentState?, project: String?, name: String?, within reach: Reach = .everything, page: PageRequest
    ) async throws -> APITypes.Page<ExperimentView> {
        let filter = ExperimentFilter(project: project, name: name, states: state.map { [$0] }, reach: reach)
        let found = try await store.read { reader in
            let page = try reader.experiments(filter, limit: page.limit, after: page.after)
            return (page, try page.items.map { try reader.jobSummaries(experiment: $0.id) })
        }
        let jobs = Dictionary(zip(found.0.items.map(\.id), found.1), uniquingKeysWith: { first, _ in first })
        return APITypes.Page(found.0, id: \.id) {
            ExperimentRendering.view(of: $0, jobs: jobs[$0.id] ?? [], withSpec: false, progress: progress)
        }
    }

    /// One experiment with its spec and jobs.
    public func experiment(_ id: String) async throws -> ExperimentView {
        let found = try await store.read { reader in try reader.experiment(id).map { ($0, try reader.jobSummaries(experiment: id)) } }
        guard let (record, jobs) = found else { throw ServiceError.missing("experiment", id) }
        return ExperimentRendering.view(of: record, jobs: jobs, progress: progress)
    }

    // MARK: Jobs

    /// Jobs, newest first.
    public func jobs(
        state: JobState?, kind: JobKind?, experiment: String?, within reach: Reach = .everything, page: PageRequest
    ) async throws -> APITypes.Page<JobView> {
        let filter = JobFilter(experimentID: experiment, states: state.map { [$0] }, kinds: kind.map { [$0] }, reach: reach)
        let found = try await store.read { reader in
            let page = try reader.jobs(filter, limit: page.limit, after: page.after)
            return (page, try page.items.map { try JobFacts(of: $0, in: reader) })
        }
        let views = Dictionary(found.1.map { ($0.record.id, view(of: $0)) }, uniquingKeysWith: { first, _ in first })
        return APITypes.Page(
            data: found.0.items.compactMap { views[$0.id] }, hasMore: found.0.hasMore, next: found.0.hasMore ? found.0.items.last?.id : nil)
    }

    /// One job with its attempts and outputs.
    public func job(_ id: String) async throws -> JobView {
        let facts = try await store.read { reader in try reader.job(id).map { try JobFacts(of: $0, in: reader) } }
        guard let facts else { throw ServiceError.missing("job", id) }
        return view(of: facts)
    }

    private func view(of facts: JobFacts) -> JobView {
        var view = JobRendering.view(
            of: facts.record, experiment: facts.experiment, project: facts.project, needs: facts.needs, attempts: facts.attempts,
            progress: progress(facts.record.id))
        view.endpoint = jobs[facts.record.id]?.server?.endpoint.map { EndpointView(url: $0.url, model: $0.model) }
        return view
    }

    func progress(_ jobID: String) -> ProgressView? { jobs[jobID]?.attempt?.progress.view }

    /// How far a running job is, as JSON; `nil` where nothing is known.
    public func progressDocument(_ jobID: String) -> JSONValue? {
        progress(jobID).flatMap { try? JSONValue(encoding: $0) }  // A struct of numbers always encodes.
    }

    // MARK: Waiting

    /// Returns once `isDone` holds of the state that `ids` lead to, or the time is up. Looks again at each event of the subject.
    public func wait(for subject: WaitSubject, atMost limit: Duration) async throws {
        let signal = WaitSignal()
        let token = hub.listen { event in if subject.matches(event) { signal.fire() } }
        let timer = LoopTimer(after: limit) { signal.expire() }
        defer {
            hub.cancel(token)
            timer.cancel()
        }
        while !signal.isExpired, phase == .ready {
            if try await isTerminal(subject) { return }
            await signal.next()
        }
    }

    private func isTerminal(_ subject: WaitSubject) async throws -> Bool {
        try await store.read { reader in
            switch subject {
            case .experiment(let id):
                guard let state = try reader.experimentState(id) else { throw ServiceError.missing("experiment", id) }
                return state.isTerminal
            case .job(let id):
                guard let state = try reader.jobState(id) else { throw ServiceError.missing("job", id) }
                return state.isTerminal
            }
        }
    }

    // MARK: Queue and machine

    private func isInClusterQueue(_ job: ActiveJob) -> Bool { job.attempt.map { $0.clusterWait != nil && $0.startedAt == nil } ?? false }

    /// Jobs that wait for resources or for needs, in the order in which they will be looked at.
    public func queue(within reach: Reach = .everything, page: PageRequest) async throws -> APITypes.Page<QueueEntryView> {
        let order = scheduler.queuedJobs(now: now).map(\.id)
        let rank = Dictionary(zip(order, 0...), uniquingKeysWith: { first, _ in first })
        let visible = jobs.values.filter {
            (!$0.isDispatched || isInClusterQueue($0)) && reach.covers(experiment: $0.experimentID, project: $0.project)
        }
        let waiting = visible.map { (id: $0.id, rank: rank[$0.id] ?? .max) }
        let sorted = waiting.sorted { ($0.rank, $0.id) < ($1.rank, $1.id) }
        let start = page.after.flatMap { after in sorted.firstIndex { $0.id == after } }.map { $0 + 1 } ?? 0
        let part = sorted.dropFirst(start).prefix(page.limit).map(\.id)
        let hasMore = start + part.count < sorted.count
        let found = try await store.read { reader -> [(JobRecord, String)] in
            try part.compactMap { id in try reader.job(id).map { ($0, try reader.experimentName($0.experimentID) ?? "") } }
        }
        let waits = scheduler.explain(Set(part), now: now)
        return APITypes.Page(
            data: found.map { record, experiment in
                let wait = waits[record.id]
                var view = QueueEntryView(
                    jobID: record.id, name: record.name, experiment: experiment, state: record.state.rawValue, priority: record.priority,
                    reason: wait?.reason.rawValue ?? record.reason?.rawValue, message: wait?.message ?? record.message,
                    resources: JobRendering.view(of: record.resources), queuedAt: record.queuedAt?.description)
                view.project = jobs[record.id]?.project ?? "default"
                view.position = rank[record.id]
                view.expectedAt = wait?.expectedAt?.description
                return view
            }, hasMore: hasMore, next: hasMore ? part.last : nil)
    }

    /// The GPUs with their readings and holders, and what of CPUs and memory is held.
    ///
    /// - Parameter reach: whose jobs are named; of others only is told that they hold a GPU.
    public func gpus(within reach: Reach = .everything) async throws -> GPUInventoryView {
        let devices = devices
        let sampled = Dictionary((history.latest?.gpus ?? []).map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
        // Simulated GPUs have no readings but those that were made up for the history.
        let readings = try await gpuThread.run { devices.readings() }.map { $0.isSimulated ? sampled[$0.uuid] ?? $0 : $0 }
        let holders = gpuHolders
        let slots = Dictionary(capacity.slots.map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
        return GPUInventoryView(
            source: devices.source, message: devices.message,
            data: readings.map { device in
                let all = holders[device.uuid] ?? []
                let held = all.filter { isWithin(job: $0.jobID, reach) }
                let condition = gpuConditions[device.uuid]
                var view = GPUView(
                    index: device.index, uuid: device.uuid, name: device.name, memoryBytes: device.memoryBytes,
                    memoryUsedBytes: device.memoryUsedBytes,
                    utilization: device.utilization.map(Double.init), temperature: device.temperature.map(Double.init),
                    powerWatts: device.powerMilliwatts.map { Double($0) / 1000 },
                    simulated: device.isSimulated, state: !all.isEmpty ? "held" : condition?.foreign == nil ? "free" : "busy",
                    jobID: held.first?.jobID, attemptID: held.first?.attemptID)
                view.health = condition?.health ?? "healthy"
                view.healthReason = condition?.reason
                view.numaNode = slots[device.uuid]?.numaNode
                view.nvlinkIsland = slots[device.uuid]?.nvlinkIsland
                view.parent = slots[device.uuid]?.parent
                view.share = all.reduce(0) { $0 + $1.share }
                view.holders = held
                return view
            }, cpus: CapacityView(total: Int64(capacity.cpus), held: Int64(heldCPUs)),
            memoryBytes: CapacityView(
                total: capacity.memoryBytes, held: scheduler.running.values.reduce(0) { $0 + $1.allocation.memoryBytes }))
    }

    /// Whether a job that has not ended is within a reach.
    private func isWithin(job id: String, _ reach: Reach) -> Bool {
        reach == .everything || jobs[id].map { reach.covers(experiment: $0.experimentID, project: $0.project) } ?? false
    }

    /// The jobs that hold each GPU that is held.
    var gpuHolders: [String: [GPUHolderView]] {
        var holders: [String: [GPUHolderView]] = [:]
        for (job, run) in scheduler.running.sorted(by: { $0.key < $1.key }) {
            let share = run.allocation.gpuShare > 0 ? Double(run.allocation.gpuShare) / 1000 : 1
            let holder = GPUHolderView(jobID: job, attemptID: jobs[job]?.attempt?.id, share: share)
            for gpu in run.allocation.gpus { holders[gpu, default: []].append(holder) }
        }
        return holders
    }

    var heldCPUs: Int { scheduler.running.values.reduce(0) { $0 + $1.allocation.cpus } }

    public var health: HealthView {
        let (status, message, done, total) =
            switch phase {
            case .ready: ("ok", nil as String?, 0, 0)
            case .reconciling(let done, let total): ("reconciling", "looking at attempt \(done) of \(total)", done, total)
            case .stopping: ("stopping", nil, 0, 0)
            }
        return HealthView(
            status: status, version: configuration.version, message: message, reconciled: done, total: total,
            startedAt: startedAt.description)
    }
}

/// What a job's view is made of.
struct JobFacts: Sendable {
    var record: JobRecord
    var experiment: String
    var project: String
    var needs: [String]
    var attempts: [AttemptRecord]

    init(of record: JobRecord, in reader: ReadTransaction) throws {
        self.record = record
        experiment = try reader.experimentName(record.experimentID) ?? ""
        project = try reader.projectName(ofExperiment: record.experimentID) ?? "default"
        needs = try reader.needs(job: record.id)
        attempts = try reader.attempts(job: record.id)
    }
}

/// What a held request waits for the end of.
public enum WaitSubject: Sendable {
    case experiment(String)
    case job(String)

    func matches(_ event: EventRecord) -> Bool {
        guard event.type == "state" else { return false }
        return switch self {
        case .experiment(let id): event.experimentID == id
        case .job(let id): event.jobID == id
        }
    }
}

/// Wakes one waiting task; a signal that comes before the wait is not lost.
@LoopActor
private final class WaitSignal {
    private(set) var isExpired = false
    private var isFired = false
    private var continuation: CheckedContinuation<Void, Never>?

    func fire() {
        isFired = true
        wake()
    }

    func expire() {
        isExpired = true
        wake()
    }

    func next() async {
        if !isFired, !isExpired { await withCheckedContinuation { continuation = $0 } }
        isFired = false
    }

    private func wake() {
        continuation?.resume()
        continuation = nil
    }
}
