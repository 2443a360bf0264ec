import Domain
import EventLoop
import JSON
import Scheduling
import Specification
import Store

// From admission to the queue: a job waits for its needs, is looked up in the cache, and queues for resources.
extension AnnealService {
    /// Takes jobs that have not ended into memory and lets those that need nothing go on.
    ///
    /// - Parameter needs: for each job the needs that have not ended.
    func admit(_ records: [JobRecord], needs: [String: [String]]) {
        remember(records, needs: needs)
        resumeWaiting(records)
    }

    func remember(_ records: [JobRecord], needs: [String: [String]]) {
        for record in records {
            jobs[record.id] = ActiveJob(
                id: record.id, experimentID: record.experimentID, resources: record.resources, priority: record.priority,
                pendingNeeds: Set(needs[record.id, default: []]))
        }
        for record in records {
            for need in needs[record.id, default: []] { jobs[need]?.dependents.append(record.id) }
        }
    }

    func resumeWaiting(_ records: [JobRecord]) {
        for record in records {
            guard let job = jobs[record.id] else { continue }
            if record.state == .waiting, job.pendingNeeds.isEmpty { advance(record.id) }
            if record.state == .queued { enqueue(job, notBefore: record.notBefore) }
        }
    }

    /// Forgets a job that has ended and lets those that waited for it go on.
    func finished(_ jobID: String, as state: JobState) {
        guard let job = jobs.removeValue(forKey: jobID) else { return }
        for dependentID in job.dependents {
            guard let dependent = jobs[dependentID], dependent.pendingNeeds.remove(jobID) != nil else { continue }
            if dependent.pendingNeeds.isEmpty { advance(dependentID) }
        }
    }

    /// Moves a job whose needs have all ended: to the queue, to `skipped`, or straight to `succeeded` from the cache.
    func advance(_ jobID: String) {
        background("advancing job \(jobID)") { [self] in
            do {
                try await tryAdvance(jobID)
            } catch let error as ServiceError {
                try await fail(jobID, reason: .badReference, message: error.detail)
            }
        }
    }

    private func tryAdvance(_ jobID: String) async throws {
        let facts = try await store.read { reader -> AdvanceFacts? in
            guard let record = try reader.job(jobID), record.state == .waiting else { return nil }
            return AdvanceFacts(record: record, needs: try reader.needs(job: jobID).compactMap { try reader.job($0) })
        }
        guard let facts else { return }
        if let (reason, message) = try facts.reasonToSkip() {
            let moment = now
            let changed = try await store.write {
                try $0.transition(job: jobID, from: [.waiting], to: .skipped, reason: reason, message: message, at: moment)
            }
            if changed != nil { finished(jobID, as: .skipped) }
            return
        }
        let resolved = try await resolve(facts.record)
        let twin = facts.record.cacheEnabled ? try await store.read { try $0.succeededJob(cacheKey: resolved.cacheKey) } : nil
        try await enterQueue(facts.record, resolved, twin: twin)
    }

    private func enterQueue(_ record: JobRecord, _ resolved: ResolvedJob, twin: JobRecord?) async throws {
        let moment = now
        let entered = try await store.write { writer -> JobState? in
            guard try writer.transition(job: record.id, from: [.waiting], to: .queued, at: moment) != nil
            else { return nil }
            try writer.insert(jobInputs: resolved.inputs.map { $0.record(of: record.id) })
            try writer.setCacheKey(job: record.id, resolved.cacheKey)
            guard let twin else { return .queued }
            try Self.finishFromCache(record.id, twin: twin, in: writer, at: moment)
            return .succeeded
        }
        switch entered {
        case .queued: jobs[record.id].map { enqueue($0, notBefore: nil) }
        case .succeeded: finished(record.id, as: .succeeded)
        default: break
        }
    }

    /// Ends a queued job with the outputs of an equal one.
    nonisolated static func finishFromCache(_ jobID: String, twin: JobRecord, in writer: WriteTransaction, at moment: Timestamp) throws {
        try writer.setOutputs(job: jobID, outputs: twin.outputs, summary: twin.summary)
        let message = "equal to job \(twin.id), whose outputs are used"
        try writer.transition(job: jobID, from: [.queued], to: .succeeded, reason: .cached, message: message, at: moment)
        try writer.setCachedFrom(job: jobID, twin.id)
    }

    /// Fails a job that never got to an attempt.
    func fail(_ jobID: String, reason: Reason, message: String) async throws {
        let moment = now
        let changed = try await store.write { writer in
            try writer.transition(job: jobID, from: [.waiting], to: .queued, at: moment)
            return try writer.transition(job: jobID, from: [.queued, .starting], to: .failed, reason: reason, message: message, at: moment)
        }
        guard changed != nil else { return }
        log.warning("job failed before its start", metadata: ["job": "\(jobID)", "reason": "\(reason)", "message": "\(message)"])
        finished(jobID, as: .failed)
    }

    func enqueue(_ job: ActiveJob, notBefore: Timestamp?) {
        job.isDispatched = false
        job.attempt = nil
        scheduler.enqueue(
            QueuedJob(id: job.id, priority: job.priority, enqueuedAt: now, request: job.resources, notBefore: notBefore))
        schedule()
    }

    /// Lets the scheduler decide and carries out what it decides.
    func schedule() {
        guard phase == .ready else { return }
        for case .start(let jobID, let gpus) in scheduler.decide(now: now) {
            guard let job = jobs[jobID] else { scheduler.release(jobID); continue }
            job.isDispatched = true
            dispatch(job, gpus: gpus)
        }
        schedulingTimer?.cancel()
        schedulingTimer = scheduler.nextWake(after: now).map { wake in
            LoopTimer(after: max(.milliseconds(1), wake - now)) { [weak self] in self?.schedule() }
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
