import Domain
import EventLoop
import Scheduling
import Store
import Supervision

// What a daemon does before it serves: it learns what became of the attempts that an earlier daemon started.
extension AnnealService {
    /// Rebuilds the memory of the daemon from the database and the attempt folders. Nothing is scheduled and no write is accepted
    /// before this has ended, so no GPU is given out while its holder has not been looked at.
    public func recover() async throws {
        let facts = try await store.read { reader in
            let jobs = try reader.nonTerminalJobs()
            let needs = try Dictionary(jobs.map { ($0.id, try reader.needs(job: $0.id)) }, uniquingKeysWith: { first, _ in first })
            return RecoveryFacts(jobs: jobs, needs: needs, attempts: try reader.liveAttempts(), lastEvent: try reader.lastEventSeq())
        }
        hub.start(at: facts.lastEvent)
        let unfinished = Set(facts.jobs.map(\.id))
        // Jobs that are to be advanced or queued wait until every live attempt has its resources back.
        let idle = facts.jobs.filter { !$0.state.holdsResources }
        let held = facts.jobs.filter(\.state.holdsResources)
        remember(facts.jobs, needs: facts.needs.mapValues { $0.filter(unfinished.contains) })
        phase = .reconciling(done: 0, total: facts.attempts.count)
        let records = Dictionary(held.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for (index, attempt) in facts.attempts.enumerated() {
            try await reattach(attempt, record: records[attempt.jobID])
            phase = .reconciling(done: index + 1, total: facts.attempts.count)
        }
        try await requeueStartless(held, attempts: facts.attempts)
        phase = .ready
        resumeWaiting(idle)
        schedule()
        log.info("ready", metadata: ["jobs": "\(facts.jobs.count)", "attempts": "\(facts.attempts.count)"])
    }

    private func reattach(_ record: AttemptRecord, record job: JobRecord?) async throws {
        guard let job, let active = jobs[job.id] else { return }
        let attempt = RunningAttempt(
            id: record.id, number: record.number, directory: record.directory, tokenHash: record.tokenHash ?? "",
            resumedFromStep: record.resumedFromStep)
        attempt.metricCursor = try await store.read { try $0.metricCursor(attempt: record.id, path: RunningAttempt.metricFile) }
        // What the worker wrote once at its start is behind the cursor and would not be read again.
        if let total = try await store.read({ try $0.metricPoints(job: job.id, key: "progress/total") }).last {
            attempt.progress.take(key: "progress/total", step: total.step, seconds: 0, value: total.value)
        }
        active.attempt = attempt
        active.isDispatched = true
        scheduler.allocate(job.id, Allocation(gpus: record.gpus, cpus: job.resources.cpus, memoryBytes: job.resources.memoryBytes))
        if job.state == .stopping { active.stopRequest = job.reason == .cancelled ? .cancelled : .paused }
        let result = await supervisor.reattach(directory: record.directory) { [weak self] event in
            self?.attemptEvent(event, job: active, attempt: attempt)
        }
        switch result {
        case .running(let handle):
            attemptsByToken[attempt.tokenHash] = attempt.id
            attempt.handle = handle
            follow(attempt, job: active, kind: job.kind)
            // A stop that was written down but may never have reached the shim is sent again; the shim's ladder starts once.
            if let request = active.stopRequest { try await handle.stop(reason: request.rawValue) }
        case .ended(let exit):
            follow(attempt, job: active, kind: job.kind)
            attemptEvent(.ended(exit), job: active, attempt: attempt)
        case .unsupervised(let worker):
            follow(attempt, job: active, kind: job.kind)
            attemptEvent(.unsupervised(worker), job: active, attempt: attempt)
        case .neverStarted:
            try await reopenStart(active, attempt)
        case .lost(let evidence):
            follow(attempt, job: active, kind: job.kind)
            attemptEvent(.lost(evidence: evidence), job: active, attempt: attempt)
        }
    }

    /// An attempt that was written down but whose worker certainly never ran: the job goes back to the queue.
    private func reopenStart(_ job: ActiveJob, _ attempt: RunningAttempt) async throws {
        let moment = now
        let cancelled = job.stopRequest == .cancelled
        let paused = job.stopRequest == .paused
        let state: JobState = cancelled ? .cancelled : paused ? .paused : .queued
        try await store.write { writer in
            try writer.transition(
                attempt: attempt.id, from: [.starting, .running, .stopping], to: cancelled ? .cancelled : .failed, cause: .startFailed,
                message: "the daemon ended before the worker was started", at: moment)
            try writer.transition(job: job.id, from: [.starting, .running, .stopping], to: state, at: moment)
        }
        scheduler.release(job.id)
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
    }
}

private struct RecoveryFacts: Sendable {
    var jobs: [JobRecord]
    var needs: [String: [String]]
    var attempts: [AttemptRecord]
    var lastEvent: Int64
}
