import Diagnosis
import Domain
import EventLoop
import JSON
import Specification
import Store
import Supervision
import Telemetry

// What happens while an attempt lives, and what its end means.
extension AnnealService {
    /// Takes what the supervisor tells of an attempt.
    func attemptEvent(_ event: AttemptEvent, job: ActiveJob, attempt: RunningAttempt, record: JobRecord) {
        switch event {
        case .started:
            // A worker that ends within the moment needs no transaction of its own for its start.
            attempt.startedAt = now
            if attempt.metrics == nil { follow(attempt, job: job, record: record) }
            attempt.startTimer = LoopTimer(after: Self.startRecordingDelay) { [weak self] in
                guard let self, attempt.startTimer != nil else { return }
                attempt.startTimer = nil
                persistently("recording the start of \(attempt.id)") { [self] in try await recordStart(job, attempt) }
            }
        case .ended(let exit):
            attempt.hasEnded = true
            serverWentAway(job)
            if attempt.allocation.gpus.isEmpty {
                // Its processes have gone, so others may have its CPUs while its end is being written down. GPUs are proved empty first.
                scheduler.release(job.id, at: now)
                schedule()
            }
            persistently("recording the end of \(attempt.id)") { [self] in try await conclude(job, attempt, record, exit) }
        case .unsupervised(let worker):
            log.warning(
                "a worker lives without its supervisor; it is left alone and its resources stay held",
                metadata: ["attempt": "\(attempt.id)", "worker": "\(worker)"])
        case .waiting(let wait): take(wait, of: attempt, job: job)
        case .placed(let gpus): take(gpus: gpus, of: attempt)
        case .vanished(let cause, let message):
            attempt.hasEnded = true
            serverWentAway(job)
            persistently("recording the end of \(attempt.id)") { [self] in
                try await conclude(job, attempt, record, nil, Diagnosis(cause: cause, message: message, evidence: []))
            }
        case .lost(let evidence):
            attempt.hasEnded = true
            serverWentAway(job)
            removeContainer(ofLost: attempt, job: record)
            persistently("recording the loss of \(attempt.id)") { [self] in try await lose(job, attempt, evidence) }
        }
    }

    /// Between a worker's start and the transaction that records it.
    private static let startRecordingDelay: Duration = .milliseconds(8)

    private func recordStart(_ job: ActiveJob, _ attempt: RunningAttempt) async throws {
        let moment = attempt.startedAt ?? now
        let isElsewhere = job.terms.cluster != nil
        try await store.write { writer in
            if isElsewhere { try writer.leaveClusterQueue(job: job.id, at: moment) }
            try Self.recordStart(job.id, attempt.id, in: writer, at: moment)
        }
    }

    private nonisolated static func recordStart(_ job: String, _ attempt: String, in writer: WriteTransaction, at moment: Timestamp) throws
    {
        try writer.transition(attempt: attempt, from: [.starting], to: .running, at: moment)
        try writer.transition(job: job, from: [.starting], to: .running, at: moment)
    }

    /// Follows the metrics and checkpoints of an attempt into the database.
    func follow(_ attempt: RunningAttempt, job: ActiveJob, record: JobRecord) {
        let (kind, logDirectory) = (record.kind, record.logDirectory)
        var scope = AttemptFollower.Scope(beganAt: Double(attempt.createdAt.milliseconds) / 1000)
        // The trainer of another project, which knows of TensorBoard alone.
        if record.engine == NemoRLEngine.name { scope.eventFolders = [logDirectory ?? attempt.directory] }
        if kind == .command {
            scope.readsLogs = true
            scope.eventFolders = [attempt.directory, configuration.outputDirectory(jobID: job.id)] + [logDirectory].compactMap { $0 }
        }
        scope.readsJournal = kind == .generate
        attempt.metrics = AttemptFollower(directory: attempt.directory, scope: scope, cursors: attempt.metricCursors) {
            [weak self] source, batch, cursor, acknowledge in
            guard let self else { return }
            if cursor.path == GenerationJournalFile.name { return keepGenerations(batch, cursor, of: attempt, job: job, acknowledge) }
            take(batch.points, of: attempt, job: job, from: source)
            // A log that says nothing is read again after a restart; that costs less than a transaction for each piece of it.
            if batch.points.isEmpty, batch.dropped == 0 { return acknowledge() }
            background("storing metrics of \(attempt.id)") { [self] in
                let points = batch.points.map {
                    MetricPoint(key: $0.key, step: $0.step, at: Timestamp(seconds: $0.seconds), value: $0.value)
                }
                let moment = now
                do {
                    try await store.write { writer in
                        try writer.appendMetrics(attempt: attempt.id, points: points, source: source, cursor: cursor, at: moment)
                        if batch.dropped > 0 { try writer.countDroppedMetrics(attempt: attempt.id, batch.dropped) }
                    }
                    acknowledge()
                } catch {
                    // The file still has them: they are read again once there is room.
                    acknowledge.failed()
                    throw error
                }
            }
        }
        if kind == .train { watchCheckpoints(of: attempt, job: job) }
    }

    private func watchCheckpoints(of attempt: RunningAttempt, job: ActiveJob) {
        attempt.checkpoints = CheckpointWatcher(directory: configuration.checkpointDirectory(jobID: job.id)) { [weak self] change in
            guard let self else { return }
            background("registering checkpoints of \(job.id)") { [self] in try await apply(change, job: job, attempt: attempt) }
        }
    }

    /// Takes note of what new points tell of an attempt: how far it is, and whether it goes wrong.
    func take(_ points: [FollowedPoint], of attempt: RunningAttempt, job: ActiveJob, from source: MetricSource) {
        if !points.isEmpty { attempt.hasMetrics = true }
        var points = points
        if source == .log {
            // What a trainer reports is not looked at again when it is printed.
            points.removeAll { attempt.reportedKeys.contains($0.key) }
        } else {
            for point in points { attempt.reportedKeys.insert(point.key) }
        }
        for point in points { attempt.progress.take(key: point.key, step: point.step, seconds: point.seconds, value: point.value) }
        watchAlerts(points, of: attempt, job: job)
        // Printed numbers may be anything's; only a trainer that really reports is stopped for them without a rule that says so.
        if source != .log { watch(points, of: attempt, job: job) }
    }

    /// - Parameters:
    ///   - exit: what its supervisor wrote; `nil` where that had no time to.
    ///   - told: what a cluster says of its end then.
    private func conclude(
        _ job: ActiveJob, _ attempt: RunningAttempt, _ record: JobRecord, _ exit: ExitRecord?, _ told: Diagnosis? = nil
    ) async throws {
        await attempt.metrics?.drain()
        if let change = await attempt.checkpoints?.finish() { try await apply(change, job: job, attempt: attempt) }
        // What was told of before may still be on its way into the database.
        await attempt.checkpointWork?.value
        let (secrets, names) = (secrets, JobPlan.secrets(of: record.spec))
        let closing = try await files.run {
            try ClosingFiles.read(attempt.directory, isFailure: exit?.exitCode != 0, mask: secrets.mask(for: names))
        }
        let hasCheckpoint = (attempt.lastCheckpointStep ?? attempt.resumedFromStep) != nil
        let evidence = evidence(of: attempt, exit, closing, record)
        var diagnosis = told ?? Diagnosis.of(evidence, patterns: causePatterns)
        // A worker that finds its server gone while that is where it was has met another trouble, which is not endlessly tried again.
        if diagnosis.cause == .serverLost, exit?.stopReason != StopRequest.serverLost.rawValue, try await hasItsServers(job, attempt) {
            diagnosis.cause = .serverFailed
        }
        // What a user has asked for meanwhile goes before the loss of a server, even where the worker never heard of it.
        if diagnosis.cause == .serverLost, let request = job.stopRequest, request.outranks(.serverLost) {
            diagnosis.cause = request.stopping.0
        }
        let context = AttemptOutcome.Context(
            retry: record.retry, failures: job.failures,
            madeProgress: (attempt.lastCheckpointStep ?? -1) > (attempt.resumedFromStep ?? -1) || job.server?.hasServed == true
                || diagnosis.cause == .allocationEnded && cameFurther(attempt, than: job),
            // A ledger of answers is as good as a checkpoint: a new attempt asks for what is missing. A server has nothing to lose.
            canResume: hasCheckpoint || [.generate, .evaluate, .serve].contains(record.kind),
            microBatchDivisor: record.microBatchDivisor,
            microBatchSize: record.kind == .train ? AttemptOutcome.microBatch(of: record.spec["params"]) : nil)
        var outcome = AttemptOutcome.judge(diagnosis, context)
        if diagnosis.cause == .timeout, job.server?.terms.isShared == false {
            // The time limit of a server that no job names is the time for which it is wanted.
            outcome = AttemptOutcome(
                attemptState: .succeeded, disposition: .succeed, reason: .timeout, message: "it has served until its time limit")
        }
        var outputs = RegisteredOutputs()
        do {
            outputs = try await register(closing.report, job: record, attempt: attempt, succeeded: outcome.disposition == .succeed)
        } catch let error as ServiceError {
            if outcome.disposition == .succeed {
                outcome = AttemptOutcome(
                    attemptState: .failed, disposition: .fail, reason: error.code == .diskFull ? .diskFull : .badData, message: error.detail
                )
            }
        }
        if record.kind == .convert || record.engine == NemoRLEngine.name {
            await removeUnfinished(in: configuration.outputDirectory(jobID: record.id))
        }
        try await close(job, attempt, outcome, exit: exit, outputs: outputs, summary: closing.report.summary)
    }

    /// Removes what a worker that was killed had begun to write: models are whole under their own name or not there.
    private func removeUnfinished(in folder: String) async {
        do {
            try await files.run {
                for name in try Folders.names(in: folder) where name.hasPrefix("tmp_") { try Folders.remove(folder + "/" + name) }
            }
        } catch {
            log.warning("unfinished files could not be removed", metadata: ["folder": "\(folder)", "error": "\(error)"])
        }
    }

    /// Whether the metrics of an attempt show it further than those before it came.
    private func cameFurther(_ attempt: RunningAttempt, than job: ActiveJob) -> Bool {
        guard let done = attempt.progress.view?.done, done > 0 else { return false }
        defer { job.furthest = max(job.furthest ?? done, done) }
        return done > job.furthest ?? 0
    }

    private func evidence(of attempt: RunningAttempt, _ exit: ExitRecord?, _ closing: ClosingFiles, _ record: JobRecord)
        -> AttemptEvidence
    {
        var evidence = AttemptEvidence()
        evidence.exitCode = exit?.exitCode
        evidence.signal = exit?.signal
        evidence.stopReason = exit?.stopReason
        evidence.startError = exit?.startError?.message
        evidence.oomKills = exit?.oomKills
        evidence.stderrTail = closing.stderrTail
        evidence.stdoutTail = closing.stdoutTail
        evidence.reportedReason = closing.report.failure?.reason
        evidence.reportedMessage = closing.report.failure?.message
        evidence.reportFault = closing.fault
        evidence.missedGate = closing.report.gateMessage
        evidence.gpuFaults = attempt.gpuFaults
        evidence.finding = attempt.finding
        if let container = ContainerTerms(job: record.spec), let exit {
            let runtime = configuration.seen(from: configuration.cluster(record.terms.cluster)).containers.program
            let end = ContainerEnd(runtime: runtime, image: container.image, state: closing.container)
            evidence.startError = evidence.startError ?? end.startError(exitCode: exit.exitCode, stderrTail: closing.stderrTail)
            evidence.signal = evidence.signal ?? end.signal(exitCode: exit.exitCode)
            if closing.container?.isOutOfMemory == true { evidence.oomKills = max(1, evidence.oomKills ?? 0) }
        }
        return evidence
    }

    /// An attempt without a supervisor and without an exit record.
    func lose(_ job: ActiveJob, _ attempt: RunningAttempt, _ evidence: String) async throws {
        await attempt.metrics?.drain()
        _ = await attempt.checkpoints?.finish()
        try await close(job, attempt, .lost(evidence), exit: nil)
    }

    /// Writes the verdict down, gives the resources back, and moves the job on.
    func close(
        _ job: ActiveJob, _ attempt: RunningAttempt, _ outcome: AttemptOutcome, exit: ExitRecord?,
        outputs: RegisteredOutputs = RegisteredOutputs(),
        summary: JSONValue? = nil
    ) async throws {
        let moment = now
        let isNeeded = job.server?.users.isEmpty == false
        let planned = NextState(outcome, isNeeded: isNeeded)
        let (reason, message): (Reason, String?) =
            switch outcome.disposition {
            case .rest: isNeeded ? (.serverIdle, Self.restingMessage) : (.succeeded, Self.endMessage)
            default: (outcome.reason, outcome.message)
            }
        let unrecordedStart = attempt.startTimer == nil ? nil : attempt.startedAt
        attempt.startTimer?.cancel()
        let isElsewhere = job.terms.cluster != nil
        if isElsewhere { await removeSecrets(of: attempt) }
        let next = try await store.write { writer -> NextState in
            if isElsewhere { try writer.leaveClusterQueue(job: job.id, at: moment) }
            if let unrecordedStart { try Self.recordStart(job.id, attempt.id, in: writer, at: unrecordedStart) }
            try outputs.write(in: writer, at: moment)
            if outcome.disposition == .succeed || outcome.disposition == .rest {
                try writer.setOutputs(job: job.id, outputs: outputs.document, summary: summary)
            }
            let end = AttemptEnd(exitCode: exit?.exitCode.map(Int.init), signal: exit?.signal.map(Int.init), resourceUsage: exit?.usage)
            try writer.transition(
                attempt: attempt.id, from: [.starting, .running, .stopping], to: outcome.attemptState, cause: outcome.reason,
                message: outcome.message,
                end: end, at: moment)
            if !outcome.evidence.isEmpty { try writer.setEvidence(attempt: attempt.id, Evidence.document(outcome.evidence)) }
            if let divisor = outcome.microBatchDivisor { try writer.setMicroBatchDivisor(job: job.id, divisor) }
            if case .retry(let delay, let failures) = outcome.disposition {
                try writer.setFailures(job: job.id, failures)
                try writer.setNotBefore(job: job.id, moment + delay)
            }
            // What was asked of the job is written in its row, and holds even where the worker ended by itself before it heard of it.
            let standing = try writer.standing(job: job.id)
            let asked = standing?.state == .stopping ? standing?.reason : nil
            let next = planned.yielding(to: asked)
            try writer.transition(
                job: job.id, from: [.starting, .running, .stopping], to: next.state,
                reason: next == planned ? reason : next.reason(of: asked),
                message: next == planned ? message : next.message(instead: message), at: moment)
            return next
        }
        if attempt.hasMetrics {
            background("packing metrics of \(attempt.id)") { [self] in
                try await store.write { try $0.packMetrics(attempt: attempt.id, at: moment) }
            }
        }
        attempt.startTimer = nil
        if case .retry(_, let failures) = outcome.disposition { job.failures = failures }
        attemptsByToken[attempt.tokenHash] = nil
        job.server?.forgetAttempt()
        job.attempt = nil
        let unheard = job.stopRequest
        job.stopRequest = nil
        job.isDispatched = false
        let faulty = Set(attempt.gpuFaults.map(\.uuid))
        if outcome.reason == .gpuFault { job.avoidedGPUs.formUnion(faulty.isEmpty ? Set(attempt.allocation.gpus) : faulty) }
        scheduler.release(job.id, at: moment)
        proveEmpty(attempt.allocation.gpus)
        log.info(
            "attempt ended",
            metadata: ["job": "\(job.id)", "attempt": "\(attempt.id)", "state": "\(outcome.attemptState)", "reason": "\(outcome.reason)"])
        settleSuccessor(of: attempt, job, next)
        moveOn(job, next, at: moment, unheard: unheard)
    }

    /// Carries out what was written down about a job at the end of its attempt.
    ///
    /// - Parameter unheard: what was asked of the job, perhaps while its end was being written.
    private func moveOn(_ job: ActiveJob, _ next: NextState, at moment: Timestamp, unheard: StopRequest?) {
        defer { schedule() }
        // Whoever asked may have ended the job in the moment since.
        guard jobs[job.id] === job else { return }
        if let request = unheard, next.yielding(to: request.stopping.0) != next {
            return persistently("carrying out what was asked of \(job.id)") { [self] in try await obey(request, job.id) }
        }
        switch next {
        case .ended(let state): finished(job.id, as: state)
        case .again(let delay): enqueue(job, notBefore: delay == .zero ? nil : moment + delay)
        case .givenWay: enqueue(job, notBefore: nil)
        case .paused: job.server?.phase = .paused
        case .resting: job.server?.phase = .resting
        }
    }
}
