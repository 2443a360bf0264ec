import Curves
import Domain
import EventLoop
import Scheduling
import Specification
import Store
import Supervision

// What a daemon does before it serves: it learns what became of the attempts that an earlier daemon started.
extension AnnealService {
    /// Rebuilds the memory of the daemon from the database and the attempt folders. Nothing is scheduled and no write is accepted
    /// before this has ended, so no GPU is given out while its holder has not been looked at.
    public func recover() async throws {
        let facts = try await store.read { reader in
            let attempts = try reader.liveAttempts()
            let cursors = try Dictionary(
                attempts.map { ($0.id, try reader.metricCursors(attempt: $0.id)) },
                uniquingKeysWith: { first, _ in first })
            // What a worker wrote once at its start is behind the cursor and would not be read again.
            let totals = try Dictionary(
                attempts.map { ($0.id, try reader.curve(job: $0.jobID, CurveQuery(key: "progress/total", last: 1)).points) },
                uniquingKeysWith: { first, _ in first })
            return RecoveryFacts(
                jobs: try reader.nonTerminalJobs(), needs: try reader.needsOfNonTerminalJobs(),
                projects: try reader.projectsOfNonTerminalJobs(), attempts: attempts, cursors: cursors, totals: totals,
                lastEvent: try reader.lastEventSeq())
        }
        hub.start(at: facts.lastEvent)
        let (secrets, names) = (secrets, Set(facts.jobs.flatMap { JobPlan.secrets(of: $0.spec) }).sorted())
        // So that what workers of an earlier daemon tell of their secrets is hidden from the first word on.
        _ = try await files.run { secrets.mask(for: names) }
        try await cleanUpTransfers()
        try await recoverQueueTerms()
        try await recoverTokens()
        let unfinished = Set(facts.jobs.map(\.id))
        // Jobs that are to be advanced or queued wait until every live attempt has its resources back.
        let elsewhere = Set(facts.attempts.filter { $0.cluster != nil }.map(\.jobID))
        let idle = facts.jobs.filter { !$0.state.holdsResources && !elsewhere.contains($0.id) }
        let held = facts.jobs.filter { $0.state.holdsResources || elsewhere.contains($0.id) }
        remember(facts.jobs, projects: facts.projects, needs: facts.needs.mapValues { $0.filter(unfinished.contains) })
        phase = .reconciling(done: 0, total: facts.attempts.count)
        let records = Dictionary(held.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        // First the ledger, whole, then the looks at the folders, which go on side by side.
        let found = facts.attempts.compactMap { attempt in
            records[attempt.jobID].flatMap {
                takeUp(attempt, of: $0, cursors: facts.cursors[attempt.id] ?? [], total: facts.totals[attempt.id])
            }
        }
        let looks = found.map { attempt in Task { @LoopActor in try await self.reattach(attempt) } }
        for (index, look) in looks.enumerated() {
            try await look.value
            phase = .reconciling(done: index + 1, total: facts.attempts.count)
        }
        try await requeueStartless(held, attempts: facts.attempts)
        if configuration.containers.isConfigured || held.contains(where: { ContainerTerms(job: $0.spec) != nil }) {
            background("removing containers of an earlier daemon") { [self] in try await prepareContainers() }
        }
        phase = .ready
        resumeWaiting(idle)
        schedule()
        startWatching()
        log.info("ready", metadata: ["jobs": "\(facts.jobs.count)", "attempts": "\(facts.attempts.count)"])
    }

    /// Puts an attempt that an earlier daemon started back into memory and into the ledger of who holds what.
    private func takeUp(_ record: AttemptRecord, of job: JobRecord, cursors: [MetricCursor], total: Points?) -> FoundAttempt? {
        guard let active = jobs[job.id] else { return nil }
        // The GPUs of a cluster are none of this machine's.
        var allocation = Allocation(gpus: record.cluster == nil ? record.gpus : [], cpus: record.cpus, memoryBytes: record.memoryBytes)
        allocation.gpuShare = record.gpuShare
        allocation.counters = record.counters
        let attempt = RunningAttempt(
            id: record.id, number: record.number, directory: record.directory, tokenHash: record.tokenHash ?? "", allocation: allocation,
            resumedFromStep: record.resumedFromStep, createdAt: record.createdAt)
        attempt.metricCursors = Dictionary(cursors.map { ($0.path, $0) }, uniquingKeysWith: { _, last in last })
        attempt.hasMetrics = !cursors.isEmpty
        if let total, let step = total.steps.last, let value = total.values.last {
            attempt.progress.take(key: "progress/total", step: Int(step), seconds: 0, value: value)
        }
        arm(attempt, job)
        active.attempt = attempt
        active.isDispatched = true
        if job.state == .stopping { active.stopRequest = StopRequest(stopping: job.reason) }
        scheduler.allocate(job.id, active.running(allocation, since: record.startedAt ?? record.createdAt, lastSavedAt: nil))
        return FoundAttempt(job: active, attempt: attempt, record: job, row: record)
    }

    private func reattach(_ found: FoundAttempt) async throws {
        let (active, attempt, job) = (found.job, found.attempt, found.record)
        try await restoreAlerts(of: attempt, job: active)
        guard let executor = try? executor(of: found.row.cluster) else {  // the reason is logged in the next line
            // Not to see it is not to know: it stays as it is until the cluster is configured again.
            return log.error("the cluster of an attempt is not configured any more", metadata: ["attempt": "\(attempt.id)"])
        }
        let result = try await executor.takeUp(found.row, of: job) { [weak self] event in
            self?.attemptEvent(event, job: active, attempt: attempt, record: job)
        }
        switch result {
        case .running(let handle):
            attemptsByToken[attempt.tokenHash] = active.identity(ofAttempt: attempt.id)
            attempt.handle = handle
            if let id = found.row.externalID { attempt.clusterWait = ClusterWait(externalID: id, code: "", words: "not asked about yet") }
            watchEndpoint(of: active, attempt)
            if active.terms.cluster == nil { follow(attempt, job: active, record: job) }
            // A stop that was written down but may never have reached the shim is sent again; the shim's ladder starts once.
            if let request = active.stopRequest { try await handle.stop(reason: request.rawValue, ladder: request.ladder) }
        case .ended(let exit):
            follow(attempt, job: active, record: job)
            attemptEvent(.ended(exit), job: active, attempt: attempt, record: job)
        case .unsupervised(let worker):
            follow(attempt, job: active, record: job)
            attemptEvent(.unsupervised(worker), job: active, attempt: attempt, record: job)
        case .neverStarted:
            try await reopenStart(active, attempt)
        case .lost(let evidence):
            follow(attempt, job: active, record: job)
            attemptEvent(.lost(evidence: evidence), job: active, attempt: attempt, record: job)
        }
    }

    /// An attempt that was written down but whose worker certainly never ran: the job goes back to the queue.
    private func reopenStart(_ job: ActiveJob, _ attempt: RunningAttempt) async throws {
        let moment = now
        let cancelled = job.stopRequest == .cancelled || job.stopRequest == .superseded
        let paused = job.stopRequest == .paused || job.stopRequest == .diskFull
        let state: JobState = cancelled ? .cancelled : paused ? .paused : .queued
        let isElsewhere = job.terms.cluster != nil
        if isElsewhere { await removeSecrets(of: attempt) }
        try await store.write { writer in
            if isElsewhere { try writer.leaveClusterQueue(job: job.id, at: moment) }
            try writer.transition(
                attempt: attempt.id, from: [.starting, .running, .stopping], to: cancelled ? .cancelled : .failed, cause: .startFailed,
                message: "the daemon ended before the worker was started", at: moment)
            try writer.transition(job: job.id, from: [.starting, .running, .stopping], to: state, at: moment)
        }
        scheduler.release(job.id, at: moment)
        job.attempt = nil
        job.stopRequest = nil
        if state == .queued { enqueue(job, notBefore: nil) } else { job.isDispatched = false }
        if cancelled { finished(job.id, as: .cancelled) }
    }

    /// Jobs that hold resources by their state but have no live attempt: the daemon ended between two transactions.
    private func requeueStartless(_ held: [JobRecord], attempts: [AttemptRecord]) async throws {
        let alive = Set(attempts.map(\.jobID))
        for record in held where !alive.contains(record.id) {
            let moment = now
            _ = try await store.write {
                try $0.transition(job: record.id, from: [record.state], to: .queued, at: moment)
            }
            jobs[record.id].map { enqueue($0, notBefore: nil) }
        }
    }

    /// Stops deciding; workers go on under their shims.
    public func stopScheduling() {
        phase = .stopping
        schedulingTimer?.cancel()
        sweepTimer?.cancel()
        watchTimer?.cancel()
        sampleTimer?.cancel()
        webhookSender?.stop()
        deviceWatch?.stop()
        saveUsage()
        auditTrail.flush()
        background("noting uses of tokens") { [self] in await saveTokenUses() }
    }
}

private struct RecoveryFacts: Sendable {
    var jobs: [JobRecord]
    var needs: [String: [String]]
    /// The project of each experiment.
    var projects: [String: String]
    var attempts: [AttemptRecord]
    var cursors: [String: [MetricCursor]]
    var totals: [String: Points]
    var lastEvent: Int64
}

/// An attempt of an earlier daemon on its way back.
@LoopActor
private final class FoundAttempt {
    let job: ActiveJob
    let attempt: RunningAttempt
    let record: JobRecord
    let row: AttemptRecord

    init(job: ActiveJob, attempt: RunningAttempt, record: JobRecord, row: AttemptRecord) {
        self.row = row
        self.job = job
        self.attempt = attempt
        self.record = record
    }
}

extension StopRequest {
    /// The request behind a job that was found stopping.
    init(stopping reason: Reason?) { self = Self.allCases.first { $0.stopping.0 == reason } ?? .paused }
}
