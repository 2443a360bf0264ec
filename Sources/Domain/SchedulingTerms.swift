/// A group of jobs of which only so many may run at a time, across experiments of a project.
public struct ConcurrencyGroup: Sendable, Hashable {
    public var name: String
    /// Jobs of the group that may hold resources at a time.
    public var limit: Int
    /// True where a new job of the group cancels those before it.
    public var cancelsInProgress: Bool

    /// Creates a group.
    public init(name: String, limit: Int = 1, cancelsInProgress: Bool = false) {
        (self.name, self.limit, self.cancelsInProgress) = (name, limit, cancelsInProgress)
    }
}

/// When the steps of an attempt that have stopped are taken for a stall.
public struct StallPolicy: Sendable, Hashable {
    /// The shortest silence that counts, however fast the steps were.
    public var least: Duration
    /// The longest silence that is waited for, however slow the steps were; also the limit before the first step.
    public var most: Duration

    /// Creates a policy.
    public init(least: Duration = .seconds(120), most: Duration = .seconds(1800)) { (self.least, self.most) = (least, most) }
}

/// What the spec says of a job beside its work and its resources.
public struct SchedulingTerms: Sendable, Hashable {
    /// True where jobs of higher priority may take its resources; it is resumed later.
    public var isPreemptible: Bool
    public var concurrency: ConcurrencyGroup?
    /// True where the job stays in the queue until a user releases it.
    public var isHeld: Bool
    /// `nil` where stalls are not looked for.
    public var stall: StallPolicy?
    /// Steps in a row with a loss that is no finite number after which an attempt is stopped; `nil` where it is not looked for.
    public var nonFiniteSteps: Int?
    /// The cluster that the job runs on; `nil` for this machine.
    public var cluster: String?
    /// What is worth an alert while the job runs.
    public var alerts: [AlertRule] = []

    /// Creates terms; the defaults are those of a spec that says nothing.
    public init(
        isPreemptible: Bool = false, concurrency: ConcurrencyGroup? = nil, isHeld: Bool = false, stall: StallPolicy? = nil,
        nonFiniteSteps: Int? = nil
    ) {
        self.isPreemptible = isPreemptible
        self.concurrency = concurrency
        self.isHeld = isHeld
        self.stall = stall
        self.nonFiniteSteps = nonFiniteSteps
    }
}
