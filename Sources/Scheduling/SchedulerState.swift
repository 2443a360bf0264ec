import Domain

/// Who holds what on a machine, who waits for what, and who starts next. No I/O and no clock: times come in, decisions go out.
///
/// Jobs are looked at by priority, then age. The first that does not fit has everything it asks for set aside, as far as it is
/// there, and those behind it start only with the rest. So a big job waits no longer than until enough of those that ran before it have
/// ended, and small ones still use what it does not ask for.
public struct SchedulerState: Sendable {
    public private(set) var capacity: HostCapacity
    /// GPUs that must not be given out, with the reason; those held at the moment stay with their holder.
    public private(set) var unhealthyGPUs: [String: String] = [:]
    /// What running jobs hold, by job.
    public private(set) var allocations: [String: Allocation] = [:]
    private var queue = JobQueue()

    /// Creates the state of an idle machine.
    public init(capacity: HostCapacity) { self.capacity = capacity }

    /// The waiting jobs, in the order in which they are looked at.
    public var queuedJobs: [QueuedJob] { queue.jobs }

    /// Replaces what the machine has. Running jobs keep what they hold, even where that is gone or more than there is now.
    public mutating func setCapacity(_ capacity: HostCapacity) { self.capacity = capacity }

    /// Takes a GPU out of use, or with a reason of `nil` back into it.
    public mutating func setHealth(ofGPU uuid: String, unhealthy reason: String?) { unhealthyGPUs[uuid] = reason }

    /// Puts a job into the queue; one of the same id that waits there is replaced. A job that holds resources is not put in.
    ///
    /// - Returns: false for a job that holds resources.
    @discardableResult
    public mutating func enqueue(_ job: QueuedJob) -> Bool {
        guard allocations[job.id] == nil else { return false }
        queue.insert(job)
        return true
    }

    /// Takes a job out of the queue.
    ///
    /// - Returns: false where it does not wait there.
    @discardableResult
    public mutating func remove(_ id: String) -> Bool { queue.remove(id) != nil }

    /// Changes the priority of a waiting job.
    ///
    /// - Returns: false where it does not wait in the queue.
    @discardableResult
    public mutating func reprioritise(_ id: String, to priority: Int) -> Bool {
        guard var job = queue.remove(id) else { return false }
        job.priority = priority
        queue.insert(job)
        return true
    }

    /// Notes what a job already holds, such as one found running at the daemon's start. It leaves the queue.
    ///
    /// - Returns: false, and nothing changes, where another job holds one of the GPUs.
    @discardableResult
    public mutating func allocate(_ id: String, _ allocation: Allocation) -> Bool {
        let others = allocations.filter { $0.key != id }.values
        guard !others.contains(where: { !Set($0.gpus).isDisjoint(with: allocation.gpus) }) else { return false }
        queue.remove(id)
        allocations[id] = allocation
        return true
    }

    /// Gives back what a job holds.
    ///
    /// - Returns: what it held; `nil` where it held nothing.
    @discardableResult
    public mutating func release(_ id: String) -> Allocation? { allocations.removeValue(forKey: id) }

    /// Starts every job that may start now. Their resources are held and they leave the queue.
    public mutating func decide(now: Timestamp) -> [Decision] {
        var pass = SchedulingPass(self)
        var decisions: [Decision] = []
        var started: Set<String> = []
        for job in queue.jobs {
            // A free CPU is asked by every job but those of `cpus: 0`, which the spec does not allow.
            if pass.free.isExhausted, job.request.cpus > 0 { break }
            guard case .start(let gpus) = pass.visit(job, now: now) else { continue }
            allocations[job.id] = Allocation(gpus: gpus, cpus: job.request.cpus, memoryBytes: job.request.memoryBytes)
            decisions.append(.start(job: job.id, gpus: gpus))
            started.insert(job.id)
        }
        queue.remove(all: started)
        return decisions
    }

    /// When `decide` may have more to say although nothing changed: the end of the next delay; `nil` where nothing is delayed.
    public func nextWake(after now: Timestamp) -> Timestamp? {
        queue.jobs.lazy.compactMap(\.notBefore).filter { $0 > now }.min()
    }

    /// A waiting job by its id.
    public func queuedJob(_ id: String) -> QueuedJob? { queue[id] }

    /// How many jobs stand before the job in the queue; `nil` where it does not wait there.
    public func rank(of id: String) -> Int? { queue.rank(of: id) }

    /// GPUs of the machine that may be given out, held or not, in order.
    public var usableGPUs: [String] { capacity.gpus.filter { unhealthyGPUs[$0] == nil } }

    /// What nobody holds.
    var free: FreeResources {
        var held: Set<String> = []
        var (cpus, memory) = (capacity.cpus, capacity.memoryBytes)
        for allocation in allocations.values {
            held.formUnion(allocation.gpus)
            cpus -= allocation.cpus
            memory -= allocation.memoryBytes
        }
        return FreeResources(gpus: usableGPUs.filter { !held.contains($0) }, cpus: max(0, cpus), memoryBytes: max(0, memory))
    }
}
