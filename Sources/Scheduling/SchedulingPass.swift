import Domain

/// One walk through the queue: what is free shrinks as jobs start and as the first blocked one has its share set aside.
struct SchedulingPass {
    /// What becomes of a job.
    enum Outcome {
        case start(Placing)
        /// Today's machine cannot run it: a GPU is out of use, or the capacity shrank.
        case cannotFit
        case quota(limit: Int)
        /// So many jobs of its project run as may.
        case jobQuota(limit: Int)
        case group(ConcurrencyGroup)
        /// It does not fit into what is free.
        case blocked
        /// It would fit, but for what is set aside for a job before it.
        case behind(String)
    }

    private(set) var free: Availability
    private(set) var reservation: Reservation?
    private let policy: SchedulingPolicy
    private let capacity: HostCapacity
    private let fairShare: FairShare
    private let running: [String: RunningJob]
    private let now: Timestamp
    /// GPUs that preempted jobs are giving to others, by the job that gets them.
    private let claims: [String: Set<Int>]
    private var groupCounts: [String: Int]
    private var projectCounts: [String: Int]
    private var projectGPUs: [String: Double] = [:]

    init(_ state: SchedulerState, now: Timestamp) {
        (policy, capacity, fairShare, running) = (state.policy, state.capacity, state.fairShare, state.running)
        self.now = now
        free = state.free
        claims = state.claims.mapValues(\.gpus)
        groupCounts = state.groupCounts
        projectCounts = state.projectCounts
    }

    /// True once nothing can start any more, whatever it asks for.
    var isExhausted: Bool { free.cpus <= 0 || reservation != nil && !policy.isBackfillOn }

    /// Decides on a job; jobs must come in the order of the queue.
    mutating func visit(_ job: QueuedJob) -> Outcome {
        guard fitsMachine(job) else { return .cannotFit }
        if let group = job.concurrency, groupCounts[SchedulerState.groupKey(job.project, group), default: 0] >= group.limit {
            return .group(group)
        }
        if let limit = fairShare.terms(job.project).runningLimit, projectCounts[job.project, default: 0] >= limit {
            return .jobQuota(limit: limit)
        }
        let room = gpusLeft(job.project)
        if job.request.choices.allSatisfy({ max(Double($0.gpus), Double($0.gpuShare) / 1000) > room }) {
            return .quota(limit: fairShare.terms(job.project).gpuLimit ?? 0)
        }
        let kept = keptForOthers(than: job.id)
        guard let reservation else {
            guard let placing = Placing.first(of: job, in: free, excluding: kept, gpusMax: room) else { return .blocked }
            take(placing, job)
            return .start(placing)
        }
        guard policy.isBackfillOn else { return .behind(reservation.job) }
        if reservation.endsInTime(job.timeLimit, now) {
            guard let placing = Placing.first(of: job, in: free, excluding: kept, gpusMax: room) else { return .blocked }
            take(placing, job)
            return .start(placing)
        }
        if let placing = Placing.first(of: job, in: free, excluding: kept.union(reservation.gpus), gpusMax: room),
            reservation.admits(placing, timeLimit: job.timeLimit, now: now)
        {
            take(placing, job)
            return .start(placing)
        }
        return Placing.first(of: job, in: free, excluding: kept, gpusMax: room) == nil ? .blocked : .behind(reservation.job)
    }

    /// Sets aside what the first blocked job will need.
    mutating func reserve(for job: QueuedJob) {
        guard reservation == nil else { return }
        reservation = Reservation.make(for: job, free, running: Array(running.values), now: now, keeping: keptForOthers(than: job.id))
    }

    private mutating func take(_ placing: Placing, _ job: QueuedJob) {
        let allocation = placing.allocation(free.slots)
        free.take(allocation)
        reservation?.charge(placing, timeLimit: job.timeLimit, now: now)
        projectGPUs[job.project, default: fairShare.gpusInUse(job.project)] += allocation.gpuCount
        projectCounts[job.project, default: 0] += 1
        if let group = job.concurrency { groupCounts[SchedulerState.groupKey(job.project, group), default: 0] += 1 }
    }

    private func keptForOthers(than id: String) -> Set<Int> {
        claims.isEmpty ? [] : claims.reduce(into: []) { if $1.key != id { $0.formUnion($1.value) } }
    }

    /// GPUs that the project's limit still allows.
    func gpusLeft(_ project: String) -> Double {
        guard let limit = fairShare.terms(project).gpuLimit else { return .infinity }
        return Double(limit) - (projectGPUs[project] ?? fairShare.gpusInUse(project))
    }

    /// True where the machine, with what is out of use left out, could run the job if nobody else did.
    private func fitsMachine(_ job: QueuedJob) -> Bool {
        job.request.choices.contains { request in
            guard request.cpus <= capacity.cpus, request.memoryBytes <= capacity.memoryBytes,
                request.counters.allSatisfy({ capacity.counters[$0.key, default: 0] >= $0.value })
            else { return false }
            let wanted = max(request.gpus, request.gpuShare > 0 ? 1 : 0)
            return wanted == 0 || free.usableCount(for: request, avoiding: job.avoidedGPUs) >= wanted
        }
    }
}
