import Domain
import Specification
import Store

// What users may do to jobs and experiments that exist.
extension AnnealService {
    /// Cancels a job: at once where it waits, through the stop ladder where it runs. A job that has ended is a conflict.
    public func cancel(jobID: String) async throws {
        guard let record = try await store.read({ try $0.job(jobID) }) else { throw ServiceError.missing("job", jobID) }
        guard !record.state.isTerminal else {
            throw ServiceError(.conflict, "the job '\(record.name)' has ended already: it is \(record.state.rawValue)")
        }
        let evaluations = try await store.read { try CheckpointEvaluations.evaluations(of: record, in: $0) }
        try await cancelLive([jobID] + evaluations.filter { !$0.state.isTerminal }.map(\.id), as: .cancelled)
    }

    /// Cancels every job of an experiment that has not ended.
    public func cancel(experimentID: String) async throws {
        let jobs = try await store.read { reader in
            guard let experiment = try reader.experiment(experimentID) else { throw ServiceError.missing("experiment", experimentID) }
            guard !experiment.state.isTerminal else {
                throw ServiceError(.conflict, "the experiment '\(experiment.name)' has ended already: it is \(experiment.state.rawValue)")
            }
            return try reader.jobs(experiment: experimentID)
        }
        try await cancelLive(jobs.filter { !$0.state.isTerminal }.map(\.id), as: .cancelled)
    }

    /// Cancels the jobs of a concurrency group that came before `records`, where these ask for it.
    func supersedeOlder(than records: [JobRecord], project: String) {
        let groups = Set(records.compactMap(\.terms.concurrency).filter(\.cancelsInProgress).map(\.name))
        guard !groups.isEmpty else { return }
        let newer = Set(records.map(\.id))
        let older = jobs.values.filter { job in
            job.project == project && !newer.contains(job.id) && job.terms.concurrency.map { groups.contains($0.name) } == true
        }
        let ids = older.map(\.id).sorted()
        if !ids.isEmpty { background("replacing \(ids.count) jobs") { [self] in try await cancelLive(ids, as: .superseded) } }
    }

    private func cancelLive(_ ids: [String], as request: StopRequest) async throws {
        // An attempt may end by itself, and its job go back to the queue, between the first look and the request to stop. It cannot
        // start anew before the second look, which takes it out of the queue.
        let back = try await cancelOnce(ids, as: request)
        if !back.isEmpty { _ = try await cancelOnce(back, as: request) }
    }

    /// Cancels what waits and asks the attempts of the others to end. Returns the jobs that meanwhile went back to where jobs wait.
    private func cancelOnce(_ ids: [String], as request: StopRequest) async throws -> [String] {
        // The jobs are withdrawn first, so that none of them starts while the others are being cancelled.
        for id in ids where jobs[id]?.isDispatched == false { scheduler.remove(id) }
        let moment = now
        let elsewhere = Set(ids.filter { jobs[$0]?.terms.cluster != nil })
        let ended = try await store.write { writer in
            try ids.filter { id in
                // One that waits in the queue of a cluster is taken out of that first.
                if elsewhere.contains(id), try writer.hasLiveAttempt(job: id) { return false }
                return try writer.transition(
                    job: id, from: [.waiting, .queued, .paused], to: .cancelled,
                    reason: request == .superseded ? .superseded : .userRequest,
                    message: request == .superseded ? "replaced by a newer job of its concurrency group" : "cancelled by request",
                    at: moment) != nil
            }
        }
        // Servers last, so that those who use them are told why they end, and not that their server has gone.
        let running = ids.filter { !ended.contains($0) }
        var back: [String] = []
        for id in running where jobs[id]?.server == nil { if try await !stop(id, request) { back.append(id) } }
        for id in running where jobs[id]?.server != nil { if try await !stop(id, request) { back.append(id) } }
        for id in ended { finished(id, as: .cancelled) }
        return back
    }

    /// Carries out a request for which the attempt ended too early.
    func obey(_ request: StopRequest, _ jobID: String) async throws {
        if request == .paused { try await pauseLive(jobID) } else { try await cancelLive([jobID], as: request) }
    }

    /// Pauses a job: it keeps its progress and gives its resources back.
    public func pause(jobID: String) async throws {
        guard let record = try await store.read({ try $0.job(jobID) }) else { throw ServiceError.missing("job", jobID) }
        if record.state == .paused, record.reason != .preempted { return }
        guard !record.state.isTerminal else {
            throw ServiceError(.conflict, "the job '\(record.name)' has ended already: it is \(record.state.rawValue)")
        }
        try await pauseLive(jobID)
    }

    private func pauseLive(_ jobID: String) async throws {
        // The second look is for an attempt that ended by itself in between, as in `cancelLive`.
        if try await !pauseOnce(jobID) { _ = try await pauseOnce(jobID) }
    }

    /// Pauses a job that waits, or asks its attempt to end. Returns false where it meanwhile went back to where jobs wait.
    private func pauseOnce(_ jobID: String) async throws -> Bool {
        if jobs[jobID]?.isDispatched == false { scheduler.remove(jobID) }
        startFactsAtHand[jobID] = nil
        jobs[jobID]?.awaitsServer = false
        let moment = now
        let isElsewhere = jobs[jobID]?.terms.cluster != nil
        let changed = try await store.write { writer -> JobRecord? in
            if isElsewhere, try writer.hasLiveAttempt(job: jobID) { return nil }
            // A preempted job is paused already; from now on it waits for the user.
            try writer.transition(job: jobID, from: [.paused], to: .queued, at: moment)
            return try writer.transition(
                job: jobID, from: [.waiting, .queued], to: .paused, reason: .userRequest, message: "paused by request", at: moment)
        }
        guard changed == nil else {
            jobs[jobID]?.server?.phase = .paused
            jobs[jobID].map(dropSuccessor)
            reviewServers()
            return true
        }
        return try await stop(jobID, .paused)
    }

    /// Lets a paused job go on.
    public func resume(jobID: String) async throws {
        guard let record = try await store.read({ try $0.job(jobID) }) else { throw ServiceError.missing("job", jobID) }
        guard record.state == .paused, let job = jobs[jobID] else {
            throw ServiceError(.conflict, "only a paused job can be resumed; '\(record.name)' is \(record.state.rawValue)")
        }
        let moment = now
        // A shared server waits for the jobs that use it, too.
        let waits = !job.pendingNeeds.isEmpty || record.cacheKey == nil || job.server?.terms.isShared == true
        let changed = try await store.write { writer in
            try writer.transition(
                job: jobID, from: [.paused], to: waits ? .waiting : .queued, reason: waits ? .needsPending : .userRequest,
                message: "resumed by request", at: moment)
        }
        guard changed != nil else { throw ServiceError(.conflict, "the job '\(record.name)' is no longer paused") }
        if !waits { enqueue(job, notBefore: nil) } else if job.pendingNeeds.isEmpty { advance(ids: [jobID]) }
    }

    /// Changes the priority of a job that has not ended; the queue is in the new order at once.
    public func setPriority(jobID: String, to priority: Int) async throws {
        guard let record = try await store.read({ try $0.job(jobID) }) else { throw ServiceError.missing("job", jobID) }
        guard !record.state.isTerminal else {
            throw ServiceError(.conflict, "the job '\(record.name)' has ended already: it is \(record.state.rawValue)")
        }
        startFactsAtHand[jobID] = nil
        try await store.write { try $0.setPriority(job: jobID, priority) }
        hub.touch(jobID)
        jobs[jobID]?.priority = priority
        jobs[jobID]?.attempt?.slurm?.setPriority(priority)
        scheduler.reprioritise(jobID, to: priority)
        schedule()
    }

    /// Keeps a job that has not started from starting until `release`.
    public func hold(jobID: String) async throws { try await setHeld(jobID, true) }

    /// Lets a held job go on.
    public func release(jobID: String) async throws { try await setHeld(jobID, false) }

    private func setHeld(_ jobID: String, _ isHeld: Bool) async throws {
        guard let record = try await store.read({ try $0.job(jobID) }) else { throw ServiceError.missing("job", jobID) }
        guard !record.state.isTerminal, !record.state.holdsResources else {
            throw ServiceError(.conflict, "only a job that waits can be held or released; '\(record.name)' is \(record.state.rawValue)")
        }
        let reason: Reason? = isHeld ? .held : record.reason == .held ? nil : record.reason
        try await store.write { writer in
            try writer.setHeld(job: jobID, isHeld)
            if record.state == .queued { try writer.setReason(job: jobID, reason, message: isHeld ? "held by request" : nil) }
        }
        hub.touch(jobID)
        jobs[jobID]?.isHeld = isHeld
        jobs[jobID]?.attempt?.slurm?.setHeld(isHeld)
        scheduler.setHeld(jobID, isHeld)
        schedule()
    }

    /// Runs a job that failed, was cancelled, skipped or lost once more, and with it the jobs that were skipped because of it.
    public func retry(jobID: String) async throws {
        guard let record = try await store.read({ try $0.job(jobID) }) else { throw ServiceError.missing("job", jobID) }
        guard JobState.retryable.contains(record.state) else {
            throw ServiceError(
                .conflict, "only a failed, cancelled, skipped or lost job can be retried; '\(record.name)' is \(record.state.rawValue)")
        }
        try await reopen(experimentID: record.experimentID) { $0.id == jobID }
    }

    /// Retries every job of an experiment that did not succeed.
    public func retry(experimentID: String) async throws {
        let experiment = try await store.read { try $0.experiment(experimentID) }
        guard let experiment else { throw ServiceError.missing("experiment", experimentID) }
        guard experiment.state.isTerminal, experiment.state != .succeeded else {
            throw ServiceError(
                .conflict, "only a failed or cancelled experiment can be retried; '\(experiment.name)' is \(experiment.state.rawValue)")
        }
        try await reopen(experimentID: experimentID) { JobState.retryable.contains($0.state) && $0.reason != .conditionFalse }
    }

    /// Reopens the chosen jobs, every job downstream of them that was skipped, and the servers of all of these; admits them to the queue.
    private func reopen(experimentID: String, _ choose: @escaping @Sendable (JobRecord) -> Bool) async throws {
        try await refuseImported(experimentID)
        let moment = now
        let (records, needs) = try await store.write { writer in
            let all = try writer.jobs(experiment: experimentID)
            let needs = try writer.needs(experiment: experimentID)
            let uses = Self.serverUses(in: all)
            let chosen = Self.withCheckpointEvaluations(Set(all.filter(choose).map(\.id)), in: all, needs: needs)
            let reopened = Self.downstream(of: chosen, in: all, needs: needs.merging(uses) { $0 + $1 })
            guard !reopened.isEmpty else { throw ServiceError(.conflict, "no job of this experiment can be retried") }
            let servers = Set(reopened.flatMap { uses[$0, default: []] })
            let records = try all.filter { reopened.contains($0.id) || servers.contains($0.id) }.compactMap {
                try writer.reopen(job: $0.id, evenSucceeded: servers.contains($0.id), at: moment)
            }
            return (records, needs)
        }
        let unfinished = Set(records.map(\.id)).union(jobs.keys)
        let project = try await store.read { try $0.experiment(experimentID)?.project } ?? "default"
        admit(records, project: project, needs: needs.mapValues { $0.filter(unfinished.contains) })
    }

    /// A job with `on: checkpoint` and its evaluations are retried together: those that did not succeed, with the job that stands for them.
    private nonisolated static func withCheckpointEvaluations(
        _ chosen: Set<String>, in jobs: [JobRecord], needs: [String: [String]]
    ) -> Set<String> {
        var all = chosen
        for template in jobs where JobState.retryable.contains(template.state) && EveryCheckpoint(spec: template.spec) != nil {
            let own = Set(needs[template.id, default: []])
            let evaluations = jobs.filter { own.contains($0.id) && $0.group == template.name && JobState.retryable.contains($0.state) }
            if chosen.contains(template.id) { all.formUnion(evaluations.map(\.id)) }
            if evaluations.contains(where: { chosen.contains($0.id) }) { all.insert(template.id) }
        }
        return all
    }

    /// `chosen` and the skipped jobs that depend on them, directly or not.
    private nonisolated static func downstream(of chosen: Set<String>, in jobs: [JobRecord], needs: [String: [String]]) -> Set<String> {
        var reopened = chosen
        var grew = true
        while grew {
            grew = false
            for job in jobs where job.state == .skipped && !reopened.contains(job.id) {
                guard needs[job.id, default: []].contains(where: reopened.contains) else { continue }
                reopened.insert(job.id)
                grew = true
            }
        }
        return reopened
    }

    /// Asks the attempt of a dispatched job to end.
    ///
    /// - Returns: false where the job has no attempt that could end, since it went back to where jobs wait.
    @discardableResult
    func stop(_ jobID: String, _ request: StopRequest) async throws -> Bool {
        guard let job = jobs[jobID] else { return true }
        guard job.isDispatched else { return false }
        guard request.outranks(job.stopRequest) else { return true }
        job.stopRequest = request
        scheduler.noteStopping(jobID)
        let moment = now
        let (reason, message) = request.stopping
        let isElsewhere = job.terms.cluster != nil
        let state = try await store.write { writer in
            if isElsewhere { try writer.leaveClusterQueue(job: jobID, at: moment) }
            // One that is being stopped already is from now on stopped for this.
            if try writer.jobState(jobID) == .stopping { try writer.setReason(job: jobID, reason, message: message) }
            try writer.transition(job: jobID, from: [.starting, .running], to: .stopping, reason: reason, message: message, at: moment)
            return try writer.jobState(jobID)
        }
        hub.touch(jobID)
        serverWentAway(job)
        // Without a handle the attempt is still being started; whoever starts it looks at `stopRequest` afterwards.
        try await job.attempt?.handle?.stop(reason: request.rawValue, ladder: request.ladder)
        return state.map { $0.holdsResources || $0.isTerminal } ?? true
    }
}
