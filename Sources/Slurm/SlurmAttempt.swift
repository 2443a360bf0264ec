import Domain
import EventLoop
import Glibc
import JSON
import Supervision

/// What one look at Slurm's queue told of a job.
enum SlurmSight: Sendable {
    /// Slurm was not asked, or did not answer: nothing is known.
    case none
    case job(SlurmJob)
    /// Slurm answered, and does not know the job.
    case absent
}

/// An attempt that waits or runs under Slurm, followed by what the shim writes and by what Slurm says, the former before the latter.
@LoopActor
public final class SlurmAttempt: AttemptControl {
    private enum Phase {
        /// sbatch runs, or is about to.
        case submitting
        /// Whether Slurm has the job is not known: it is looked for by its name.
        case searching(since: UInt64)
        case placed(String)
        case over
    }

    /// The attempt's name in Slurm.
    nonisolated let name: String
    nonisolated let folder: BatchFolder
    /// The worker's first process on its node, once its program runs.
    public private(set) var workerPID: Int32?
    /// Slurm's id of the job, once it has told it.
    public var externalID: String? { if case .placed(let id) = phase { id } else { nil } }

    let executor: SlurmExecutor
    private let grace: Duration
    private let onEvent: @LoopActor (AttemptEvent) -> Void
    private var phase: Phase
    private var isConcluding = false
    private var gpuCount = 0
    /// How its worker began, on every node, has been read.
    private(set) var knowsStart = false
    /// Its job waited in Slurm before the attempt was; one that ends before it has begun is no loss but of a place in the queue.
    var isAdopted = false
    /// By what its task is found where it was submitted in an array.
    var arrayKey: String?
    /// What its job is called in Slurm where that is not its own name.
    var sharedName: String?
    private var hasBeenSeen = false
    private var hasSuccessor = false
    private var stopReason: String?
    private var stopDeadline: UInt64?
    private var nice: Int?
    private var hold: Bool?
    private var lastWait: ClusterWait?
    /// Looks in a row in which Slurm answered without the job, and when the first of them was.
    private var absence: (looks: Int, since: UInt64)?
    /// As Slurm said last, it waits in its queue, and nothing of it has run.
    private var isParked = false
    /// Slurm put it back into its queue after it had run, or had failed to start it.
    private var wasRequeued = false
    /// Since when Slurm says that it has ended.
    private var endedSince: UInt64?
    /// What its node told last.
    var node = NodeReport()
    /// Since when a record waits for Slurm's word on why it was told to end.
    private var unexplainedSince: UInt64?
    /// What Slurm says of a job that somebody may have cancelled, or that a node could not launch, until the accounts say which.
    private var doubtful: SlurmJob?

    /// - Parameter externalID: Slurm's id; `nil` for one of which it is not known whether Slurm has it, unless `isNew`.
    init(
        attemptID: String, folder: BatchFolder, executor: SlurmExecutor, externalID: String?, isNew: Bool, grace: Duration,
        onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) {
        name = SlurmScript.name(attempt: attemptID)
        self.folder = folder
        self.executor = executor
        self.grace = grace
        self.onEvent = onEvent
        phase = isNew ? .submitting : externalID.map(Phase.placed) ?? .searching(since: SystemTime.monotonicNanoseconds())
    }

    // MARK: Commands

    /// Ends the worker by its shim's ladder, or takes the job out of Slurm's queue.
    public func stop(reason: String, ladder: StopLadder?) async throws {
        guard !isOver else { return }
        stopReason = reason
        stopDeadline = SystemTime.after((ladder?.length ?? grace) + SlurmPatience.stopPatience)
        let (folder, serial, dumpsStacks) = (folder, Int(SystemTime.now()), node.isDumpWanted)
        node.orderSerial = serial
        Task { @LoopActor in
            // A full disk takes it later, unless a newer one has come meanwhile.
            while !isOver, node.orderSerial == serial {
                do {
                    try await executor.files.run {
                        try folder.order(reason: reason, ladder: ladder, serial: serial, dumpsStacks: dumpsStacks)
                    }
                    break
                } catch is BlockingThread.Stopped {
                    return
                } catch {
                    await executor.pause(executor.terms.pollLeast)
                }
            }
            if let id = externalID { executor.end(id, jobNames) }
            executor.hurry()
        }
    }

    /// The shim writes them when it is told to end the worker.
    public func dump() async throws { node.isDumpWanted = true }

    /// As its node told last.
    public func usage() async throws -> WorkerUsage? { node.last.map { WorkerUsage(cpuSeconds: $0.cpuSeconds) } }

    /// Stops to watch; the job goes on.
    public func detach() {
        phase = .over
        executor.forget(self)
    }

    /// Changes the place in Slurm's queue of one that waits there.
    public func setPriority(_ priority: Int) {
        nice = SlurmScript.nice(priority: priority)
        sendTerms()
        if let id = executor.successors[folder.path]?.id { executor.change(id, nice: SlurmScript.nice(priority: priority), hold: nil) }
    }

    /// Keeps one that waits in Slurm's queue from starting, or lets it start.
    public func setHeld(_ isHeld: Bool) {
        hold = isHeld
        sendTerms()
    }

    /// Tells Slurm what was asked of a job since its submission.
    private func sendTerms() {
        guard case .placed(let id) = phase, workerPID == nil else { return }
        executor.change(id, nice: nice, hold: hold)
        (nice, hold) = (nil, nil)
    }

    var isOver: Bool { if case .over = phase { true } else { isConcluding } }

    // MARK: Submission

    /// Hands the job to Slurm, and again while Slurm says that it has no room for it.
    func submit() {
        Task { @LoopActor in
            var delay = SlurmPatience.busyDelayMin
            while case .submitting = phase {
                if let stopReason { return end(.ended(Self.unstarted(stopReason))) }
                do {
                    let (folder, commands) = (folder, executor.commands)
                    let id = try await executor.nextSubmitter().run {
                        let options = folder.document(SlurmExecutor.optionsFile)?["options"]?.array?.compactMap(\.string) ?? []
                        return try commands.submit(options, script: folder.path(of: SlurmExecutor.scriptFile))
                    }
                    return place(id)
                } catch let error as SlurmError {
                    guard case .submitting = phase else { return }
                    if error.kind == .refused { return end(.ended(Self.refusal("Slurm refused it: \(error.message)"))) }
                    guard error.kind == .busy else { return search(for: error) }
                    tellBusy(error)
                } catch {
                    // The thread was stopped: the daemon is going down, and the next one will look for the job.
                    return
                }
                await executor.pause(delay)
                delay = min(delay * 2, SlurmPatience.busyDelayMax)
            }
        }
    }

    /// It is still to be submitted, and nobody has told it to end.
    var awaitsSubmission: Bool { if case .submitting = phase { stopReason == nil } else { false } }

    func tellBusy(_ error: SlurmError) {
        tell(ClusterWait(externalID: nil, code: "Submission", words: "Slurm does not take it yet: \(error.message)"))
    }

    /// The answer was lost, and the job may have been taken.
    func search(for error: SlurmError) {
        guard case .submitting = phase else { return }
        phase = .searching(since: SystemTime.monotonicNanoseconds())
        absence = nil
        tell(ClusterWait(externalID: nil, code: "Unanswered", words: "Slurm did not answer to its submission: \(error.message)"))
        executor.hurry()
    }

    /// Slurm has taken it.
    func place(_ id: String) {
        guard !isOver else { return }
        phase = .placed(id)
        absence = nil
        executor.claim(id, by: jobName)
        tell(ClusterWait(externalID: id, code: "None", words: SlurmWords.reason("None")))
        if stopReason != nil { executor.end(id, jobNames) }
        sendTerms()
        executor.hurry()
    }

    /// What its job is called in Slurm; the tasks of an array share one name.
    var jobName: String { sharedName ?? name }
    /// By what Slurm may list it.
    private var jobNames: Set<String> { Set([name, arrayKey, sharedName].compactMap(\.self)) }

    /// Slurm has given the number of its job to another one: its own is looked for by its name, and submitted anew where there is none.
    func lose(_ number: Substring) {
        guard case .placed(let id) = phase, id.prefix(while: { $0 != "_" }) == number, !isOver else { return }
        phase = .searching(since: SystemTime.monotonicNanoseconds())
        absence = nil
        tell(ClusterWait(externalID: nil, code: "Lost", words: "Slurm has lost its job \(id), and is asked for another of its name"))
    }

    /// Tells of the job that it has got.
    func announce() {
        if let id = externalID { tell(ClusterWait(externalID: id, code: "None", words: SlurmWords.reason("None"))) }
    }

    private func tell(_ wait: ClusterWait) {
        guard wait != lastWait, workerPID == nil else { return }
        lastWait = wait
        onEvent(.waiting(wait))
    }

    // MARK: Watching

    /// Whether the folder may tell something new; not of one that waits in Slurm's queue, as far as is known.
    func mayHaveRun(_ sight: SlurmSight) -> Bool {
        if case .submitting = phase { return false }
        switch sight {
        // What Slurm has put back into its queue may have run between two looks; it must begin later than that.
        case .job(let job): isParked = workerPID == nil && job.state.isWait && job.reason != "BeginTime"
        case .absent: isParked = false
        case .none: break
        }
        return !isParked
    }

    /// Takes what a look at the folder and at Slurm found, the folder after Slurm; returns whether anything was new.
    func take(_ finding: BatchFolder.Finding, _ sight: SlurmSight) -> Bool {
        guard !isOver else { return false }
        var isNew = false
        // Where a submission was made twice the one that lives counts, and before it the one whose shim runs.
        if case .job(let job) = sight, finding.start?.batchID == nil { isNew = adopt(job.id) }
        if let id = finding.start?.batchID { isNew = adopt(id) || isNew }
        if let start = finding.start {
            let isFirst = workerPID == nil
            isNew = isNew || isFirst
            knowsStart = start.isWhole
            workerPID = start.pid
            // Further nodes tell of theirs later.
            if start.gpus.count > gpuCount { onEvent(.placed(gpus: start.gpus)) }
            gpuCount = max(gpuCount, start.gpus.count)
            if isFirst { onEvent(.started(pid: start.pid, at: start.atMs)) }
        }
        if let record = finding.end { return conclude(record, sight) || isNew }
        if workerPID != nil, stopReason == nil, !hasSuccessor, let id = externalID {
            hasSuccessor = true
            executor.lineUp(behind: self, job: id)
        }
        switch sight {
        case .none: return isNew
        case .job(let job): return follow(job) || isNew
        case .absent: return miss() || isNew
        }
    }

    /// Takes a job of Slurm's for the attempt's; returns whether it was not known to be.
    private func adopt(_ id: String) -> Bool {
        switch phase {
        case .searching: break
        case .placed(let known) where known != id: break
        default: return false
        }
        place(id)
        return true
    }

    /// The shim has told how the worker ended. Whether the cluster ended it, and why, only Slurm knows: its signals reach the worker
    /// beside the shim, and may end it before the shim hears of them.
    private func conclude(_ record: ExitRecord, _ sight: SlurmSight) -> Bool {
        var record = record
        let isOfCluster = record.stopReason.map { [ClusterEnd.clusterSignal, ClusterEnd.allocationEnds].contains($0) } ?? false
        if let stopReason, isOfCluster || record.isUnexplained {
            record.stopReason = stopReason
        } else if record.needsWord {
            unexplainedSince = unexplainedSince ?? SystemTime.monotonicNanoseconds()
            if case .job(let job) = sight, job.state.isEnd || job.state.isWait {
                record.stopReason = ClusterEnd.stopReason(of: job.state) ?? record.stopReason
            } else if !SystemTime.hasPassed(executor.terms.lag, since: unexplainedSince) {
                return true
            }
            if record.stopReason == ClusterEnd.clusterSignal { record.stopReason = ClusterEnd.allocationEnds }
        }
        end(.ended(record))
        return true
    }

    private func follow(_ job: SlurmJob) -> Bool {
        absence = nil
        if job.state.isEnd {
            endedSince = endedSince ?? SystemTime.monotonicNanoseconds()
            // A shared disk may show the record later; a job that never had a node has none.
            let patience = job.nodes.isEmpty && workerPID == nil ? Duration.zero : executor.terms.lag
            if SystemTime.hasPassed(patience, since: endedSince) { vanish(job, within: patience) }
            return true
        }
        (endedSince, doubtful) = (nil, nil)
        hasBeenSeen = true
        if job.state.isWait {
            if workerPID != nil || job.isHeldAfterLaunch {
                // Whether it runs again is for the daemon to decide, as another attempt. One whose launch failed would wait for ever.
                wasRequeued = true
                executor.cancel(job.id, [job.key])
            }
            if stopReason != nil { executor.end(job.id, [job.key]) }
            let wait = ClusterWait(
                externalID: job.id, code: job.reason, words: SlurmWords.reason(job.reason), expectedAtMs: job.startsAt.map { $0 * 1000 })
            // When it is expected to start changes all the time, and is no reason to ask often.
            let isNew = wait.code != lastWait?.code
            tell(wait)
            return isNew || stopReason != nil
        }
        if let stopDeadline, SystemTime.monotonicNanoseconds() > stopDeadline { executor.cancel(job.id, [job.key]) }
        return stopReason != nil
    }

    /// Slurm answered, and does not know the job.
    private func miss() -> Bool {
        let first = absence ?? (0, SystemTime.monotonicNanoseconds())
        absence = (first.looks + 1, first.since)
        guard first.looks + 1 >= SlurmPatience.absentLooks else { return true }
        switch phase {
        case .searching where SystemTime.hasPassed(SlurmPatience.lostAnswerPatience, since: first.since):
            if let stopReason {
                end(.ended(Self.unstarted(stopReason)))
            } else if workerPID != nil {
                vanish(nil)
            } else {
                phase = .submitting
                submit()
            }
        case .placed where SystemTime.hasPassed(SlurmPatience.accountPatience, since: first.since): vanish(nil)
        case .placed(let id) where SystemTime.hasPassed(SlurmPatience.absencePatience, since: first.since): executor.askAccounts(of: id)
        default: break
        }
        return true
    }

    /// What the accounts say of a job about which they were asked; `nil` where they say nothing, or none are kept.
    func take(account: SlurmJob?) {
        // Accounts that are behind say that it still runs.
        guard !isOver, absence != nil || doubtful != nil, account?.state.isEnd != false else { return }
        vanish(account ?? doubtful)
    }

    // MARK: End

    /// Slurm says that the job has ended. Who cancelled one of which nothing has run only the accounts know; where they do not say it soon,
    /// it is taken for one that its node could not launch: better it runs again than not at all.
    private func vanish(_ job: SlurmJob, within patience: Duration) {
        let isAsked = workerPID == nil && stopReason == nil && job.mayHaveFailedToLaunch
        guard isAsked, !SystemTime.hasPassed(patience + SlurmPatience.absencePatience, since: endedSince) else { return vanish(job) }
        doubtful = job
        executor.askAccounts(of: job.id)
    }

    /// The job has gone, and its shim has left no record that can be seen.
    private func vanish(_ job: SlurmJob?) {
        guard !isOver else { return }
        isConcluding = true
        Task { @LoopActor in
            let folder = folder
            if workerPID != nil, job?.state.isSureEnd != true { await endSurvivor() }
            // Once more: the record may have come meanwhile.
            let found = try? await executor.files.run {  // the thread is stopped when the daemon goes down; the next one will look
                (folder.look(), folder.tail(of: SlurmExecutor.logFile))
            }
            guard let found else { return }
            if let record = found.0.end {
                isConcluding = false
                _ = conclude(record, job.map(SlurmSight.job) ?? .none)
                return
            }
            let isCancelled = job.map { $0.state.word == "CANCELLED" && !$0.mayHaveFailedToLaunch } ?? false
            if workerPID == nil, stopReason == nil, isAdopted, !isCancelled || !hasBeenSeen {
                return searchInstead()
            }
            if let stopReason { return end(.ended(workerPID == nil ? Self.unstarted(stopReason) : Self.killed(stopReason))) }
            end(verdict(job, tail: found.1))
        }
    }

    /// The job that waited for it has gone without it: it is submitted like any other.
    private func searchInstead() {
        (isAdopted, isConcluding, endedSince, absence, sharedName) = (false, false, nil, nil, nil)
        phase = .searching(since: SystemTime.monotonicNanoseconds())
        executor.hurry()
    }

    private func verdict(_ job: SlurmJob?, tail: String) -> AttemptEvent {
        let id = externalID ?? "unknown"
        guard let job else {
            return .vanished(
                cause: .nodeFailed, message: "Slurm no longer knows its job \(id), and the worker's supervisor has left no record")
        }
        if wasRequeued {
            return .vanished(cause: .nodeFailed, message: "Slurm put its job \(id) back into the queue after it had run")
        }
        let message = "\(SlurmWords.end(job.state)) (Slurm job \(id): \(job.state.word), \(job.reason))"
        switch job.state.word {
        case "CANCELLED" where workerPID == nil && job.mayHaveFailedToLaunch:
            return .vanished(
                cause: .nodeFailed, message: "its node could not start it (Slurm job \(id) on \(job.nodes): \(job.state.word))")
        case "CANCELLED", "REVOKED": return .vanished(cause: .clusterCancelled, message: message)
        case "TIMEOUT", "PREEMPTED": return .vanished(cause: .allocationEnded, message: message)
        case "DEADLINE": return .vanished(cause: .timeout, message: message)
        case "OUT_OF_MEMORY": return .vanished(cause: .hostOOM, message: message)
        case "COMPLETED", "FAILED":
            guard workerPID == nil, !job.isOfNode else { break }
            let said = tail.split(separator: "\n").suffix(3).joined(separator: " | ")
            // A script that fails by itself says why; on a full disk neither it nor the shim can.
            guard !said.isEmpty || job.state.word == "COMPLETED" else {
                return .vanished(cause: .nodeFailed, message: message + ", and batch.log is empty: is the disk of the data folder full?")
            }
            return .ended(Self.refusal(message + (said.isEmpty ? "; batch.log is empty" : "; batch.log ends with: \(said)")))
        default: break
        }
        return .vanished(cause: .nodeFailed, message: message + ", and the worker's supervisor has left no record")
    }

    private func end(_ event: AttemptEvent) {
        if case .over = phase { return }
        phase = .over
        executor.forget(self)
        executor.depart(arrayKey ?? jobName)
        onEvent(event)
    }

    /// The record of one of which no line has run.
    private static func refusal(_ message: String) -> ExitRecord {
        let now = SystemTime.now()
        var record = ExitRecord(startedAtMs: now, endedAtMs: now)
        record.startError = ExitRecord.StartError(step: "cluster", errorNumber: 0, message: message)
        return record
    }

    private static func unstarted(_ reason: String) -> ExitRecord {
        var record = refusal("it was told to end before it had started")
        record.stopReason = reason
        return record
    }

    /// The record of one that the cluster ended after it was told to end.
    private static func killed(_ reason: String) -> ExitRecord {
        let now = SystemTime.now()
        var record = ExitRecord(startedAtMs: now, endedAtMs: now)
        (record.signal, record.stopReason) = (SIGKILL, reason)
        return record
    }
}
