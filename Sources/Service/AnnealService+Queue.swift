import Domain
import EventLoop
import JSON
import Scheduling
import Specification
import Store

// From admission to the queue: a job waits for its needs, is looked up in the cache, and queues for resources.
extension AnnealService {
    /// Jobs that enter the queue in one transaction; more would hold up other writers for long.
    private static let jobsPerAdvance = 8
    /// Jobs whose start facts are kept at hand.
    private static let startFactsMax = 2_000

    /// Takes jobs that have not ended into memory and lets those that need nothing go on.
    ///
    /// - Parameter needs: for each job the needs that have not ended.
    func admit(_ records: [JobRecord], project: String, needs: [String: [String]]) {
        remember(records, projects: [:], project: project, needs: needs)
        supersedeOlder(than: records, project: project)
        resumeWaiting(records)
    }

    /// - Parameter projects: the project of each experiment; those that are missing are of `project`.
    func remember(_ records: [JobRecord], projects: [String: String], project: String = "default", needs: [String: [String]]) {
        for record in records {
            let project = projects[record.experimentID] ?? project
            jobs[record.id] = ActiveJob(record, project: project, pendingNeeds: Set(needs[record.id, default: []]))
        }
        for record in records {
            for need in needs[record.id, default: []] { jobs[need]?.dependents.append(record.id) }
        }
        rememberServers(records)
    }

    func resumeWaiting(_ records: [JobRecord]) {
        var ready: [JobRecord] = []
        for record in records {
            guard let job = jobs[record.id] else { continue }
            switch record.state {
            case .waiting where job.pendingNeeds.isEmpty: ready.append(record)
            case .queued: enterQueue(job, notBefore: record.notBefore)
            // It gave way to another job and waits for room, not for a user.
            case .paused where record.reason == .preempted: enterQueue(job, notBefore: nil)
            default: break
            }
        }
        schedule()
        if !ready.isEmpty { advance(ready) }
    }

    /// Forgets a job that has ended and lets those that waited for it go on.
    func finished(_ jobID: String, as state: JobState) {
        startFactsAtHand[jobID] = nil
        guard let job = jobs.removeValue(forKey: jobID) else { return }
        dropSuccessor(of: job)
        var ready: [String] = []
        for dependentID in job.dependents {
            guard let dependent = jobs[dependentID], dependent.pendingNeeds.remove(jobID) != nil else { continue }
            if dependent.pendingNeeds.isEmpty { ready.append(dependentID) }
            if dependent.followsCheckpoints {
                background("noting the end of \(jobID)") { [self] in
                    try await checkpointEvaluationEnded(jobID)
                    hub.touch(dependentID)
                }
            }
        }
        if !ready.isEmpty { advance(ids: ready) }
        forgetServers(of: job, as: state)
    }

    /// Moves jobs whose needs have all ended on.
    func advance(ids: [String]) {
        for id in ids { jobs[id]?.isAdvancing = true }
        persistently("advancing \(ids.count) jobs") { [self] in
            try await advanceAll(try await store.read { reader in try ids.compactMap { try reader.job($0) } })
        }
    }

    /// The same for jobs that were just read or written.
    private func advance(_ records: [JobRecord]) {
        for record in records { jobs[record.id]?.isAdvancing = true }
        persistently("advancing \(records.count) jobs") { [self] in
            // One part after the other, so that writes of others come in between; the urgent ones first, so that they start first.
            let ordered = records.enumerated().sorted { ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset) }.map(\.element)
            for start in stride(from: 0, to: ordered.count, by: Self.jobsPerAdvance) {
                try await advanceAll(Array(ordered[start..<min(ordered.count, start + Self.jobsPerAdvance)]))
            }
        }
    }

    /// Moves jobs to the queue, to `skipped`, or straight to `succeeded` from the cache; all of them in one transaction, so that they are
    /// in the queue together before the first of them starts.
    private func advanceAll(_ records: [JobRecord]) async throws {
        var waiting = records.filter { $0.state == .waiting }
        for template in waiting where EveryCheckpoint(spec: template.spec) != nil { try await concludeCheckpointEvaluations(template) }
        waiting.removeAll { EveryCheckpoint(spec: $0.spec) != nil }
        if waiting.isEmpty { return }
        let (needs, names) = try await store.read { [waiting] reader in
            var needs: [String: [JobRecord]] = [:]
            var names: [String: String] = [:]
            for id in Set(waiting.map(\.experimentID)) { names[id] = try reader.experimentName(id) }
            for record in waiting {
                let ids = try reader.needs(job: record.id)
                if !ids.isEmpty { needs[record.id] = try ids.compactMap { try reader.job($0) } }
            }
            return (needs, names)
        }
        var steps: [QueueStep] = []
        for record in waiting {
            do {
                let facts = AdvanceFacts(record: record, needs: needs[record.id] ?? [])
                if let (reason, message) = try facts.reasonToSkip() {
                    steps.append(.skip(record.id, reason, message))
                } else {
                    let resolved = try await resolve(record, needs: facts.needs)
                    try await checkTrainingData(record, resolved)
                    let isShared = jobs[record.id]?.server?.terms.isShared ?? false
                    steps.append(isShared ? .rest(record, resolved) : .enqueue(record, resolved))
                }
            } catch let error as ServiceError {
                try await fail(record.id, reason: error.code == .invalidDataset ? .badData : .badReference, message: error.detail)
            }
        }
        try await carryOut(steps, experiments: names)
    }

    private func carryOut(_ steps: [QueueStep], experiments: [String: String]) async throws {
        let moment = now
        let states = try await store.write { writer in try steps.map { try $0.perform(in: writer, at: moment) } }
        for (step, state) in zip(steps, states) {
            jobs[step.jobID]?.isAdvancing = false
            switch state {
            case .waiting:
                hub.touch(step.jobID)
                jobs[step.jobID]?.server?.phase = .resting
            case .queued:
                if case .enqueue(var record, let resolved) = step, startFactsAtHand.count < Self.startFactsMax {
                    record.state = .queued
                    record.cacheKey = resolved.cacheKey
                    startFactsAtHand[record.id] = StartFacts(
                        record: record, resolved: resolved, experiment: experiments[record.experimentID] ?? "")
                }
                jobs[step.jobID].map { enterQueue($0, notBefore: nil) }
            case .succeeded, .skipped: finished(step.jobID, as: state ?? .skipped)
            default: break
            }
        }
        schedule()
    }

    /// Ends a queued job with the outputs of an equal one.
    nonisolated static func finishFromCache(_ jobID: String, twin: JobRecord, in writer: WriteTransaction, at moment: Timestamp) throws {
        try writer.setOutputs(job: jobID, outputs: twin.outputs, summary: twin.summary)
        if let evaluation = try twin.outputs?["evaluation"]?["id"]?.string.flatMap(writer.evaluation) {
            try CheckpointEvaluations.tellCurve(of: evaluation, job: jobID, in: writer, at: moment)
        }
        let message = "equal to job \(twin.id), whose outputs are used"
        try writer.transition(job: jobID, from: [.queued], to: .succeeded, reason: .cached, message: message, at: moment)
        try writer.setCachedFrom(job: jobID, twin.id)
    }

    /// Fails a job that never got to an attempt.
    func fail(_ jobID: String, reason: Reason, message: String) async throws {
        let moment = now
        let changed = try await store.write { writer in
            try writer.transition(job: jobID, from: [.waiting, .paused], to: .queued, at: moment)
            return try writer.transition(job: jobID, from: [.queued, .starting], to: .failed, reason: reason, message: message, at: moment)
        }
        guard changed != nil else { return }
        log.warning("job failed before its start", metadata: ["job": "\(jobID)", "reason": "\(reason)", "message": "\(message)"])
        finished(jobID, as: .failed)
    }

    func enqueue(_ job: ActiveJob, notBefore: Timestamp?) {
        enterQueue(job, notBefore: notBefore)
        schedule()
    }

    /// Hands a job that is ready to the scheduler, once the servers that it uses answer.
    func enterQueue(_ job: ActiveJob, notBefore: Timestamp?) {
        job.isDispatched = false
        job.isAdvancing = false
        job.awaitsServer = false
        job.attempt = nil
        job.queuedAt = job.queuedAt ?? now
        job.server?.phase = .queued
        // What a user or a delay keeps needs no server yet; it is looked at again when it is to start.
        let isKept = job.isHeld || notBefore.map { $0 > now } ?? false
        if !isKept, !job.servers.isEmpty, waitForServers(job) { return }
        scheduler.enqueue(job.queued(notBefore: notBefore, now: now))
    }

    /// Lets the scheduler decide and carries out what it decides.
    func schedule() {
        guard phase == .ready else { return }
        // One moment for both: a job that becomes due between two would neither be decided on nor wake anybody.
        let moment = now
        for decision in scheduler.decide(now: moment) {
            switch decision {
            case .start(let jobID, let allocation):
                guard let job = jobs[jobID] else { scheduler.release(jobID, at: now); continue }
                job.isDispatched = true
                dispatch(job, allocation)
            case .preempt(let victim, let winner):
                background("making room for \(winner)") { [self] in try await stop(victim, .preempted) }
            }
        }
        schedulingTimer?.cancel()
        schedulingTimer = scheduler.nextWake(after: moment).map { wake in
            LoopTimer(after: max(.milliseconds(1), wake - now)) { [weak self] in self?.schedule() }
        }
        reviewServers()
    }
}

/// What becomes of a job whose needs have ended.
private enum QueueStep: Sendable {
    case skip(String, Reason, String)
    case enqueue(JobRecord, ResolvedJob)
    /// A server is ready, and waits until a job that uses it is.
    case rest(JobRecord, ResolvedJob)

    var jobID: String {
        switch self {
        case .skip(let id, _, _): id
        case .enqueue(let record, _), .rest(let record, _): record.id
        }
    }

    /// Returns the state that the job is in now; `nil` where it had left `waiting` meanwhile.
    func perform(in writer: WriteTransaction, at moment: Timestamp) throws -> JobState? {
        switch self {
        case .skip(let id, let reason, let message):
            return try writer.transition(job: id, from: [.waiting], to: .skipped, reason: reason, message: message, at: moment)?.state
        case .rest(let record, let resolved):
            guard try writer.jobState(record.id) == .waiting else { return nil }
            try writer.insert(jobInputs: resolved.inputs.map { $0.record(of: record.id) })
            try writer.setCacheKey(job: record.id, resolved.cacheKey)
            try writer.setReason(job: record.id, .serverIdle, message: AnnealService.restingMessage)
            return .waiting
        case .enqueue(let record, let resolved):
            let twin = record.cacheEnabled ? try writer.succeededJob(cacheKey: resolved.cacheKey, for: record.experimentID) : nil
            let reason: Reason? = record.isHeld ? .held : nil
            guard try writer.transition(job: record.id, from: [.waiting], to: .queued, reason: reason, at: moment) != nil else {
                return nil
            }
            try writer.insert(jobInputs: resolved.inputs.map { $0.record(of: record.id) })
            try writer.setCacheKey(job: record.id, resolved.cacheKey)
            guard let twin else { return .queued }
            try AnnealService.finishFromCache(record.id, twin: twin, in: writer, at: moment)
            return .succeeded
        }
    }
}

/// What decides whether a job whose needs have ended may run.
private struct AdvanceFacts: Sendable {
    var record: JobRecord
    var needs: [JobRecord]

    /// Why the job is skipped; `nil` where it runs.
    func reasonToSkip() throws -> (Reason, String)? {
        let failed = needs.filter { $0.state != .succeeded }
        guard let text = record.condition else {
            guard let need = failed.first else { return nil }
            return (.needFailed, "needs '\(need.name)', which is \(need.state.rawValue)")
        }
        let condition: Condition
        do throws(ConditionProblem) {
            condition = try Condition(text)
        } catch {
            throw ServiceError(.invalidSpec, "the condition '\(text)' cannot be read: \(error.detail)")
        }
        if let need = failed.first, !condition.runsAfterFailure {
            return (.needFailed, "needs '\(need.name)', which is \(need.state.rawValue)")
        }
        let facts = Dictionary(needs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let holds = condition.evaluate(
            needs: needs.map(\.state), state: { facts[$0]?.state }, value: { job, path in facts[job].flatMap { Self.fact(of: $0, path) } })
        return holds ? nil : (.conditionFalse, "the condition '\(text)' does not hold")
    }

    /// A value of a job's summary such as `accuracy`; a path with dots goes down into it.
    private static func fact(of job: JobRecord, _ path: String) -> JSONValue? {
        job.summary?[path] ?? job.summary?[JSONPointer(path.split(separator: ".").map(String.init))]
    }
}
