import Domain
import EventLoop
import JSON
import Supervision

/// Runs attempts as batch jobs of one Slurm cluster.
///
/// Slurm is the queue there. One question to it tells of all jobs; it is put often while something changes and seldom while nothing
/// does. What the shims write on the shared disk is the truth about the workers: while Slurm is silent nothing is taken for ended.
@LoopActor
public final class SlurmExecutor {
    nonisolated static let scriptFile = "batch.sh"
    nonisolated static let optionsFile = "batch.json"
    nonisolated static let logFile = "batch.log"

    public nonisolated let terms: ClusterTerms
    nonisolated let commands: SlurmCommands
    /// Run sbatch, which mostly waits for its answer, in turns; a question that hangs holds up no submission.
    private nonisolated let submitters = (0..<SlurmPatience.submitters).map { BlockingThread(name: "slurm-submit\($0)") }
    /// Puts questions to Slurm, and gives it orders.
    nonisolated let questions = BlockingThread(name: "slurm-ask")
    /// Reads the shared disk, which may hang by itself.
    nonisolated let files = BlockingThread(name: "slurm-files")

    /// Since when Slurm has not answered, in milliseconds since 1970, and what came instead; `nil` while it answers.
    public private(set) var silence: (since: Int64, message: String)?

    private let shimPath: String
    private var attempts: [String: SlurmAttempt] = [:]
    /// What waits behind attempts, by their folders.
    var successors: [String: SlurmSuccessor] = [:]
    /// Attempts that are gathered to be submitted together, by what they have in common.
    var arrays: [String: SlurmArray] = [:]
    private var timer: LoopTimer?
    private var isLooking = false
    /// Somebody wants the next look at once.
    private var isHurried = false
    private var pause: Duration
    private var askAt: UInt64 = 0
    /// What the last question cost, which is not put again before Slurm had a rest from it.
    private var questionTime: Duration = .zero
    private var submissions = 0
    /// Jobs of which Slurm's queue does not tell enough, by id, and when the accounts may be asked about them.
    private var missing: Set<String> = []
    private var accountsAt: UInt64 = 0
    private var orders = SlurmOrders()
    /// Slurm's last answer, by which orders are checked before they are given.
    private var lastQueue: SlurmQueue?
    /// What the job of each number is called that Slurm has given.
    private var holders: [Substring: String] = [:]
    /// By what attempts that have ended are found, as long as Slurm lists them.
    private var departed: Set<String> = []
    /// Of some that ended while no daemon watched Slurm has not been asked.
    private var isDepartureNew = false

    /// - Parameters:
    ///   - shimPath: the program anneal-shim, as the nodes see it.
    ///   - token: the token for slurmrestd, by the name of its secret.
    public init(terms: ClusterTerms, shimPath: String, token: @escaping @Sendable (String) throws -> String) {
        self.terms = terms
        self.shimPath = shimPath
        commands = SlurmCommands(
            terms: terms, rest: terms.rest.map { access in SlurmREST(access: access) { try token(access.token) } })
        pause = terms.pollLeast
    }

    /// Writes the attempt's folder and hands the job to Slurm.
    ///
    /// Returns when the folder is complete; what becomes of the submission follows as events. Throws `SupervisionError` where the folder
    /// cannot be written; nothing was submitted then.
    public func start(
        _ launch: AttemptLaunch, _ order: SlurmOrder, onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> SlurmAttempt {
        let script = SlurmScript(terms: terms, order: order, directory: launch.directory, shimPath: shimPath)
        let folder = BatchFolder(path: launch.directory)
        var options: JSONObject = ["options": .array(script.options.map(JSONValue.string))]
        var written = [(Self.scriptFile, script.text)]
        if let further = script.successorOptions {
            options["next"] = .array(further.map(JSONValue.string))
            written.append((SlurmSuccessor.scriptFile, script.successorText))
        }
        var waiting: String?
        if let predecessor = order.predecessor, let id = await successor(of: predecessor) {
            waiting = id
            options["adopted"] = ["id": .string(id), "folder": .string(predecessor)]
        }
        written.append((Self.optionsFile, String(decoding: JSONWriter().bytes(of: .object(options)), as: UTF8.self)))
        var placed = launch
        // Slurm holds the job to its memory, and what is left of its processes is found through /proc.
        placed.controlGroup = .none
        (placed.nodes, placed.processesPerNode) = (order.resources.nodes, max(1, order.resources.gpus))
        placed.allocationGrace = terms.margin - Self.endReserve
        placed.allocationTime = script.timeLimit.map { $0 - terms.margin }
        let complete = placed
        let files = written.map { (name: $0.0, text: $0.1) }
        try await self.files.run {
            try folder.create(complete, files: files)
            try Self.callSuccessor(to: folder)
        }
        let attempt = SlurmAttempt(
            attemptID: order.attemptID, folder: folder, executor: self, externalID: waiting, isNew: waiting == nil,
            grace: launch.ladder.length, onEvent: onEvent)
        attempt.isAdopted = waiting != nil
        if waiting != nil { attempt.sharedName = order.predecessor.map { SlurmSuccessor.name(after: BatchFolder(path: $0).name) } }
        watch(attempt)
        if waiting == nil { submit(attempt, script) } else { attempt.announce() }
        return attempt
    }

    /// Tells the job that waits for an attempt, where there is one, that this is it. Returns Slurm's id of it.
    @discardableResult
    private nonisolated static func callSuccessor(to folder: BatchFolder) throws -> String? {
        guard let adopted = folder.document(optionsFile)?["adopted"], let predecessor = adopted["folder"]?.string else { return nil }
        try BatchFolder(path: predecessor).write(folder.path, to: SlurmSuccessor.orderFile)
        return adopted["id"]?.string
    }

    /// For the exit record, before Slurm ends what is left.
    private static let endReserve: Duration = .seconds(10)

    /// What became of an attempt that an earlier daemon started.
    public enum TakenUp: Sendable {
        case ended(ExitRecord)
        /// It waits, runs or is looked for; events follow.
        case watched(SlurmAttempt)
        /// Its folder was never completed, so nothing was submitted.
        case neverStarted
    }

    /// Takes up an attempt that an earlier daemon started.
    ///
    /// - Parameter externalID: Slurm's id of its job; `nil` where the earlier daemon had not written it down.
    public func takeUp(
        directory: String, attemptID: String, externalID: String?, grace: Duration, onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> TakenUp {
        let folder = BatchFolder(path: directory)
        let (isComplete, finding, options) = try await files.run {
            (folder.isComplete(), folder.look(), folder.document(Self.optionsFile))
        }
        let array = options?["array"]
        let arrayKey = array?["name"]?.string.map { SlurmJob.key(name: $0, task: array?["task"]?.int) }
        let adoptedFrom = options?["adopted"]?["folder"]?.string.map { SlurmSuccessor.name(after: BatchFolder(path: $0).name) }
        // Whether the cluster ended it, and why, is asked as ever.
        if let record = finding.end, !record.needsWord {
            depart(arrayKey ?? adoptedFrom ?? SlurmScript.name(attempt: attemptID))
            isDepartureNew = true
            hurry()
            return .ended(record)
        }
        guard isComplete else { return .neverStarted }
        // The daemon may have ended before it could tell the job that waits.
        let adopted = try await files.run { finding.start == nil ? try Self.callSuccessor(to: folder) : nil }
        let attempt = SlurmAttempt(
            attemptID: attemptID, folder: folder, executor: self, externalID: externalID ?? adopted, isNew: false, grace: grace,
            onEvent: onEvent)
        (attempt.arrayKey, attempt.sharedName) = (arrayKey, array?["name"]?.string ?? adoptedFrom)
        attempt.isAdopted = adopted != nil && (externalID == nil || externalID == adopted)
        watch(attempt)
        return .watched(attempt)
    }

    /// Takes note of an attempt that has ended: should Slurm put its job back into the queue, it is taken out of it at the next look.
    func depart(_ key: String) { departed.insert(key) }

    // MARK: Orders

    /// Ends a job that is called by one of these names: at once where it waits, by its shim where it runs.
    func end(_ id: String, _ names: Set<String>) { orders.end(id, names) }

    /// Ends a job that is called by one of these names, whatever it is at.
    func cancel(_ id: String, _ names: Set<String>) { orders.cancel(id, names) }

    /// Slurm has given an id to the job of this name. Who had it before has lost its job, with the memory of a controller that was killed.
    func claim(_ id: String, by name: String) {
        orders.forget(id)
        let number = id.prefix { $0 != "_" }
        guard let earlier = holders.updateValue(name, forKey: number), earlier != name else { return }
        for attempt in attempts.values where attempt.jobName == earlier { attempt.lose(number) }
        for successor in successors.values where successor.name == earlier { successor.lose() }
    }

    /// Tells Slurm of a new place in its queue, or to hold or release a job. Where that fails the job keeps its terms.
    func change(_ id: String, nice: Int?, hold: Bool?) {
        let commands = commands
        questions.submit {
            // What Slurm does not want to hear now, such as of a job that has just started, is of no more use.
            if let nice { try? commands.setNice(id, nice) }  // as said above
            if let hold { try? commands.setHeld(id, hold) }  // as said above
        }
        hurry()
    }

    /// Asks the accounts at the next look about a job of which Slurm's queue does not tell enough; the attempt is told what they say.
    func askAccounts(of id: String) { missing.insert(id) }

    /// Where the next submission is made.
    func nextSubmitter() -> BlockingThread {
        submissions += 1
        return submitters[submissions % submitters.count]
    }

    func pause(_ time: Duration) async {
        await withCheckedContinuation { continuation in _ = LoopTimer(after: time) { continuation.resume() } }
    }

    // MARK: Looking

    private func watch(_ attempt: SlurmAttempt) {
        attempts[attempt.name] = attempt
        if let id = attempt.externalID { holders[id.prefix { $0 != "_" }] = attempt.jobName }
        hurry()
    }

    func forget(_ attempt: SlurmAttempt) {
        attempts[attempt.name] = nil
    }

    /// Looks no more where nothing is left to look for, and no order is left to be given.
    private func restIfIdle() {
        guard attempts.isEmpty, successors.isEmpty, orders.isEmpty, !isDepartureNew else { return }
        holders = [:]
        lastQueue = nil
        timer?.cancel()
        timer = nil
    }

    /// Asks Slurm at the next look, and often from then on.
    func hurry() {
        pause = leastPause
        askAt = min(askAt, SystemTime.after(pause))
        isHurried = true
        if timer == nil { timer = LoopTimer(after: terms.pollLeast, every: terms.pollLeast) { [weak self] in self?.lookSoon() } }
    }

    /// A queue that takes long to tell is asked for seldom: Slurm is to spend little of its time on it.
    private var leastPause: Duration { max(terms.pollLeast, min(questionTime * SlurmPatience.restAfterQuestion, terms.pollMost)) }

    private func lookSoon() {
        guard !isLooking else { return }
        isLooking = true
        Task { @LoopActor in
            await look()
            isLooking = false
            restIfIdle()
        }
    }

    private func look() async {
        let isDue = SystemTime.monotonicNanoseconds() >= askAt
        let queue = isDue ? await askQueue() : nil
        await sendOrders()
        // A shared disk is slow: folders of jobs that wait in Slurm's queue, as it said last, have nothing new.
        let looks = attempts.values.compactMap { attempt -> Look? in
            let sight = queue?.sight(of: attempt) ?? .none
            let isWorthReading = attempt.mayHaveRun(sight) || isDue && queue == nil
            guard queue != nil || isWorthReading else { return nil }
            return Look(attempt: attempt, sight: sight, isWorthReading: isWorthReading, knowsStart: attempt.knowsStart)
        }
        // After the question: what had ended by then has its record on disk.
        guard let findings = await read(looks) else { return }
        isHurried = false
        var isNew = false
        for (look, finding) in zip(looks, findings) { isNew = look.attempt.take(finding, look.sight) || isNew }
        if let queue { for successor in successors.values { successor.take(queue.sight(name: successor.name, id: nil)) } }
        await askAccounts()
        guard isDue || isNew else { return }
        pause = isNew || isHurried ? leastPause : min(pause * 1.5, terms.pollMost)
        if isDue { askAt = SystemTime.after(pause) } else { askAt = min(askAt, SystemTime.after(pause)) }
    }

    /// An attempt in a look, with what Slurm said of it.
    private struct Look: Sendable {
        var attempt: SlurmAttempt
        var sight: SlurmSight
        var isWorthReading: Bool
        var knowsStart: Bool
    }

    /// What the folders say, nothing for those that are not worth reading; `nil` when the daemon goes down.
    private func read(_ looks: [Look]) async -> [BatchFolder.Finding]? {
        guard looks.contains(where: \.isWorthReading) else { return looks.map { _ in BatchFolder.Finding() } }
        return try? await files.run {  // the thread is stopped when the daemon goes down
            looks.map { $0.isWorthReading ? $0.attempt.folder.look(knowsStart: $0.knowsStart) : BatchFolder.Finding() }
        }
    }

    private func askQueue() async -> SlurmQueue? {
        let commands = commands
        do {
            let (queue, time) = try await questions.run {
                let started = ContinuousClock.now
                return (SlurmQueue(try commands.queue()), ContinuousClock.now - started)
            }
            questionTime = time
            silence = nil
            for job in queue.duplicates + departed.compactMap(queue.waiting) { cancel(job.id, [job.key]) }
            lastQueue = queue
            departed = departed.filter(queue.lists)
            isDepartureNew = false
            return queue
        } catch {
            silence = (silence?.since ?? SystemTime.now(), "\(error)")
            return nil
        }
    }

    /// Puts one question to the accounts about all jobs that wait for their word. While they do not answer nothing is known.
    private func askAccounts() async {
        guard !missing.isEmpty, SystemTime.monotonicNanoseconds() >= accountsAt else { return }
        let (asked, commands) = (missing.sorted(), commands)
        missing = []
        accountsAt = SystemTime.after(leastPause)
        do {
            let known = try await questions.run { try commands.accounts(of: asked) }
            tell(asked, known)
        } catch let error as SlurmError where error.kind == .unknown {
            accountsAt = SystemTime.after(terms.pollMost)
        } catch {
            // Without accounts, or where they may not be seen, nothing more is known.
            tell(asked, [])
        }
    }

    private func tell(_ asked: [String], _ known: [SlurmJob]) {
        // Ids come again after a cluster was set up anew; the last of equal ones is the newest.
        let byID = Dictionary(known.map { ($0.id + $0.name, $0) }, uniquingKeysWith: { _, last in last })
        let ids = Set(asked)
        for attempt in attempts.values {
            guard let id = attempt.externalID, ids.contains(id) else { continue }
            attempt.take(account: byID[id + (attempt.sharedName ?? attempt.name)])
        }
    }

    /// Gives Slurm the orders that have gathered, each kind in one call; those that it did not take are given again.
    private func sendOrders() async {
        guard !orders.isEmpty, let lastQueue else { return }
        let (taken, commands) = (orders.take(lastQueue), commands)
        do {
            try await questions.run {
                if !taken.cancels.isEmpty { try commands.cancel(taken.cancels) }
                guard !taken.ends.isEmpty else { return }
                try commands.cancelPending(taken.ends)
                try commands.wake(taken.ends)
            }
        } catch let error as SlurmError where error.kind == .unknown {
            orders.restore(taken)
        } catch {
            // A job that has ended meanwhile is no longer Slurm's to end; the next look tells.
        }
    }
}
