import Domain

/// The rules by which the queue is ordered; the defaults are what the simulator found best of those tried.
public struct SchedulingPolicy: Sendable, Hashable {
    /// The wait that is worth one point of priority; `nil` turns ageing off, and among equal priorities only the order of arrival counts.
    public var ageingInterval: Duration? = .seconds(1800)
    /// Points of priority between a project that has used nothing of late and one that has used far more than its share; 0 turns it off.
    public var fairShareWeight: Double = 20
    /// After which past GPU-seconds count half.
    public var usageHalfLife: Duration = .seconds(7 * 24 * 3600)
    /// True where jobs behind the first blocked one may start if they do not delay it.
    public var isBackfillOn = true
    /// Jobs that are looked at behind the first blocked one in each pass, where their time limits decide.
    public var backfillDepth = 512
    public var isPreemptionOn = true

    /// The rules of the daemon.
    public static let standard = SchedulingPolicy()

    /// Strictly in the order of priority and arrival.
    public static let fifo: SchedulingPolicy = {
        var policy = SchedulingPolicy()
        policy.ageingInterval = nil
        policy.fairShareWeight = 0
        policy.isBackfillOn = false
        policy.isPreemptionOn = false
        return policy
    }()

    /// Creates the standard rules.
    public init() {}

    /// What of a job's place in the order does not change while it waits: all waiting jobs age alike.
    func staticScore(_ job: QueuedJob) -> Double {
        guard let ageingInterval else { return Double(job.priority) }
        return Double(job.priority) - Double(job.enqueuedAt.milliseconds) / Double(ageingInterval.milliseconds)
    }
}

/// What an operator set for a project.
public struct ProjectTerms: Sendable, Hashable {
    /// Its part of the machine in proportion to the other projects' weights; above 0.
    public var weight: Double
    /// The most GPUs that its jobs may hold at a time; `nil` for no limit.
    public var gpuLimit: Int?
    /// The most of its jobs that may run at a time; `nil` for no limit.
    public var runningLimit: Int?

    /// Creates terms.
    public init(weight: Double = 1, gpuLimit: Int? = nil, runningLimit: Int? = nil) {
        (self.weight, self.gpuLimit, self.runningLimit) = (weight, gpuLimit, runningLimit)
    }
}
