import Domain

/// Who holds what on a machine, who waits for what, and who starts next. No I/O and no clock: times come in, decisions go out.
///
/// Jobs are looked at by priority, age and fair share. The first that does not fit has what it needs set aside, and those behind it
/// start only where they do not delay it. So a big job waits no longer than until enough of those that ran before it have
/// ended, and small ones still use what it does not need yet.
public struct SchedulerState: Sendable {
    /// GPUs that are being freed for a job, and the jobs that give them up.
    struct Claim: Sendable {
        var gpus: Set<Int>
        var victims: Set<String>
    }

    public private(set) var capacity: HostCapacity
    public let policy: SchedulingPolicy
    /// GPUs that must not be given out, with the reason; those held at the moment stay with their holder.
    public private(set) var unhealthyGPUs: [String: String] = [:]
    /// Those of them that are about to be usable again.
    private var settlingGPUs: Set<String> = []
    /// Jobs that hold resources.
    public private(set) var running: [String: RunningJob] = [:]
    /// What nobody holds.
    private(set) var free: Availability
    private(set) var fairShare: FairShare
    private(set) var claims: [String: Claim] = [:]
    /// Running jobs by project and concurrency group.
    private(set) var groupCounts: [String: Int] = [:]
    /// How many jobs of each project run.
    private(set) var projectCounts: [String: Int] = [:]
    private(set) var queue = JobBuckets()
    /// Jobs that wait for a user or for the end of a retry's delay; they are looked at when that has come.
    private(set) var aside: [String: QueuedJob] = [:]
    /// No delay ends before it; `nil` where nothing is delayed.
    private var earliestDue: Timestamp?

    /// Creates the state of an idle machine.
    public init(capacity: HostCapacity, policy: SchedulingPolicy = .standard) {
        self.capacity = capacity
        self.policy = policy
        free = Availability(capacity)
        fairShare = FairShare(halfLife: policy.usageHalfLife)
    }

    // MARK: Machine

    /// Replaces what the machine has. Running jobs keep what they hold, even where that is gone or more than there is now.
    public mutating func setCapacity(_ capacity: HostCapacity) {
        self.capacity = capacity
        free = Availability(capacity)
        for run in running.values { free.take(run.allocation) }
        for uuid in unhealthyGPUs.keys { free.setUsable(uuid, false) }
        claims = [:]
    }

    /// Takes a GPU out of use, or with a reason of `nil` back into it.
    ///
    /// - Parameter isSettling: true where it is out of use for a moment only, so that a job for which it was freed goes on waiting for it.
    public mutating func setHealth(ofGPU uuid: String, unhealthy reason: String?, isSettling: Bool = false) {
        unhealthyGPUs[uuid] = reason
        free.setUsable(uuid, reason == nil)
        if isSettling { settlingGPUs.insert(uuid) } else { settlingGPUs.remove(uuid) }
    }

    // MARK: Queue

    /// Puts a job into the queue; one of the same id that waits there is replaced. A job that holds resources is not put in.
    ///
    /// - Returns: false for a job that holds resources.
    @discardableResult
    public mutating func enqueue(_ job: QueuedJob) -> Bool {
        guard running[job.id] == nil else { return false }
        remove(job.id)
        if job.isHeld || job.notBefore != nil {
            aside[job.id] = job
            if !job.isHeld, let due = job.notBefore { earliestDue = min(earliestDue ?? due, due) }
        } else {
            queue.insert(job, score: policy.staticScore(job))
        }
        return true
    }

    /// Takes a job out of the queue.
    ///
    /// - Returns: false where it does not wait there.
    @discardableResult
    public mutating func remove(_ id: String) -> Bool {
        claims[id] = nil
        if aside.removeValue(forKey: id) != nil { return true }
        return queue.remove(id) != nil
    }

    /// Changes the priority of a job, waiting or running; a running one of low priority can be preempted sooner.
    ///
    /// - Returns: false where there is no such job.
    @discardableResult
    public mutating func reprioritise(_ id: String, to priority: Int) -> Bool {
        if running[id] != nil {
            running[id]?.priority = priority
            return true
        }
        guard var job = queuedJob(id) else { return false }
        job.priority = priority
        return enqueue(job)
    }

    /// Keeps a waiting job from starting, or lets it start.
    ///
    /// - Returns: false where it does not wait in the queue.
    @discardableResult
    public mutating func setHeld(_ id: String, _ isHeld: Bool) -> Bool {
        guard var job = queuedJob(id) else { return false }
        job.isHeld = isHeld
        return enqueue(job)
    }

    // MARK: Running jobs

    /// Notes what a job already holds, such as one found running at the daemon's start. It leaves the queue.
    ///
    /// - Returns: false, and nothing changes, where another job holds one of the GPUs.
    @discardableResult
    public mutating func allocate(_ id: String, _ run: RunningJob) -> Bool {
        guard running[id] == nil else { return false }
        let part = run.allocation.gpuShare > 0 ? run.allocation.gpuShare : 1000
        let isFree = run.allocation.gpus.allSatisfy { uuid in free.indexes[uuid].map { free.used[$0] + part <= 1000 } ?? true }
        guard isFree else { return false }
        remove(id)
        hold(id, run, at: run.startedAt)
        return true
    }

    private mutating func hold(_ id: String, _ run: RunningJob, at now: Timestamp) {
        running[id] = run
        free.take(run.allocation)
        fairShare.change(run.project, by: run.allocation.gpuCount, at: now)
        projectCounts[run.project, default: 0] += 1
        if let group = run.concurrency { groupCounts[Self.groupKey(run.project, group), default: 0] += 1 }
    }

    /// Notes that a running job has saved its work.
    public mutating func noteSaved(_ id: String, at moment: Timestamp) { running[id]?.lastSavedAt = moment }

    /// Notes that a running job has been asked to end; it is no victim any more.
    public mutating func noteStopping(_ id: String) { running[id]?.isStopping = true }

    /// Gives back what a job holds, and charges its project for it.
    ///
    /// - Returns: what it held; `nil` where it held nothing.
    @discardableResult
    public mutating func release(_ id: String, at now: Timestamp) -> RunningJob? {
        guard let run = running.removeValue(forKey: id) else { return nil }
        free.giveBack(run.allocation)
        fairShare.change(run.project, by: -run.allocation.gpuCount, at: now)
        projectCounts[run.project] = projectCounts[run.project].flatMap { $0 > 1 ? $0 - 1 : nil }
        if let group = run.concurrency {
            let key = Self.groupKey(run.project, group)
            groupCounts[key] = groupCounts[key].flatMap { $0 > 1 ? $0 - 1 : nil }
        }
        for winner in claims.keys { claims[winner]?.victims.remove(id) }
        return run
    }

    static func groupKey(_ project: String, _ group: ConcurrencyGroup) -> String { project + "/" + group.name }

    // MARK: Projects

    /// Sets what an operator allows a project.
    public mutating func setProject(_ name: String, _ terms: ProjectTerms) { fairShare.setTerms(terms, of: name) }

    /// What an operator allows a project; the defaults for one that nobody has set.
    public func projectTerms(_ name: String) -> ProjectTerms { fairShare.terms(name) }

    /// Takes up a project's past usage, as of a moment.
    public mutating func restoreUsage(_ project: String, gpuSeconds: Double, at moment: Timestamp) {
        fairShare.restore(project, seconds: gpuSeconds, at: moment)
    }

    /// Decayed GPU-seconds of a project, those that run included.
    public func usage(of project: String, at now: Timestamp) -> Double { fairShare.usage(project, at: now) }

    /// Projects that have terms or have used GPUs, by name.
    public var projectNames: [String] { fairShare.names }

    // MARK: Decisions

    /// Starts every job that may start now, and asks others to make room. The resources of started jobs are held and they leave the queue.
    public mutating func decide(now: Timestamp) -> [Decision] {
        admitThoseThatAreDue(now)
        // The plan is made on what does not change meanwhile, so that nothing of the queue is copied.
        var plan = plan(now: now)
        if !plan.droppedClaims.isEmpty {
            // What was kept for them is free for others at once.
            for id in plan.droppedClaims { claims[id] = nil }
            plan = self.plan(now: now)
        }
        var decisions: [Decision] = []
        for (job, placing) in plan.starts {
            let allocation = placing.allocation(free.slots)
            remove(job.id)
            let run = RunningJob(
                allocation: allocation, project: job.project, priority: job.priority, startedAt: now,
                endsBy: job.timeLimit.map { now + $0 },
                isPreemptible: job.isPreemptible, concurrency: job.concurrency)
            hold(job.id, run, at: now)
            decisions.append(.start(job: job.id, allocation))
        }
        if let (winner, victims, gpus) = plan.preemption {
            for victim in victims { running[victim]?.isStopping = true }
            claims[winner] = Claim(gpus: gpus, victims: Set(victims))
            decisions += victims.map { .preempt(job: $0, for: winner) }
        }
        return decisions
    }

    private mutating func admitThoseThatAreDue(_ now: Timestamp) {
        guard let earliestDue, earliestDue <= now else { return }
        for job in aside.values where !job.isHeld && !job.isDelayed(at: now) {
            var job = job
            job.notBefore = nil
            enqueue(job)
        }
        self.earliestDue = nextWake(after: now)
    }

    /// What is to be done.
    private struct Plan {
        var starts: [(QueuedJob, Placing)] = []
        var preemption: (winner: String, victims: [String], gpus: Set<Int>)?
        var droppedClaims: [String] = []
    }

    private func plan(now: Timestamp) -> Plan {
        var plan = Plan()
        var pass = SchedulingPass(self, now: now)
        // Jobs for which room was made come first, whatever the order is by now.
        for id in claims.keys.sorted() {
            guard let job = queue[id] else {
                plan.droppedClaims.append(id)
                continue
            }
            if case .start(let placing) = pass.visit(job) {
                plan.starts.append((job, placing))
            } else if let claim = claims[id], claim.victims.isEmpty,
                !claim.gpus.contains(where: { settlingGPUs.contains(free.slots[$0].uuid) })
            {
                // All have gone and it still does not fit, as when a GPU broke meanwhile: the ordinary rules apply again.
                plan.droppedClaims.append(id)
            }
        }
        let claimants = Set(plan.starts.map(\.0.id))
        var walk = QueueWalk(self, now: now)
        var looks = policy.backfillDepth
        while !pass.isExhausted, let job = walk.next() {
            if claimants.contains(job.id) { continue }
            if pass.reservation != nil {
                looks -= 1
                if looks < 0 { break }
            }
            switch pass.visit(job) {
            case .start(let placing): plan.starts.append((job, placing))
            case .blocked where pass.reservation == nil:
                plan.preemption = room(for: job, pass, now)
                pass.reserve(for: job)
                walk.skipShape()
            // A time limit can still let another job of the same shape through.
            case .behind: if job.timeLimit == nil { walk.skipShapeWithoutLimits() }
            case .blocked, .cannotFit, .quota, .jobQuota, .group: walk.skipShape()
            }
        }
        return plan
    }

    private func room(for job: QueuedJob, _ pass: SchedulingPass, _ now: Timestamp) -> (winner: String, victims: [String], gpus: Set<Int>)?
    {
        guard policy.isPreemptionOn, claims[job.id] == nil else { return nil }
        let kept = claims.reduce(into: Set<Int>()) { $0.formUnion($1.value.gpus) }
        let choice = VictimChoice.choose(
            for: job, pass.free, running: running, excluding: kept, gpusMax: pass.gpusLeft(job.project), now: now)
        return choice.map { (job.id, $0.victims, Set($0.placing.gpus)) }
    }

    /// When `decide` may have more to say although nothing changed: the end of the next delay; `nil` where nothing is delayed.
    public func nextWake(after now: Timestamp) -> Timestamp? {
        aside.values.lazy.filter { !$0.isHeld }.compactMap(\.notBefore).filter { $0 > now }.min()
    }

    // MARK: Questions

    /// A waiting job by its id.
    public func queuedJob(_ id: String) -> QueuedJob? { queue[id] ?? aside[id] }

    /// Jobs that wait, those that are held or delayed included.
    public var queuedCount: Int { queue.count + aside.count }

    /// The jobs that may start, in the order in which they are looked at.
    public func queuedJobs(now: Timestamp) -> [QueuedJob] {
        var walk = QueueWalk(self, now: now)
        var jobs: [QueuedJob] = []
        while let job = walk.next() { jobs.append(job) }
        return jobs
    }

    /// GPUs of the machine that may be given out, held or not, in order.
    public var usableGPUs: [String] { capacity.gpus.filter { unhealthyGPUs[$0] == nil } }
}
