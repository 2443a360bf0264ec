/// A job that has not started, in the order in which the queue is served.
public struct QueueEntryView: Codable, Sendable, Equatable {
    /// The job that it belongs to.
    public var jobID: String
    /// Its name.
    public var name: String
    /// The experiment's name.
    public var experiment: String
    /// Its state, in the words of the state machine.
    public var state: String
    /// 0 to 100; the higher goes first.
    public var priority: Int
    /// Why it does not run yet.
    @Nullable public var reason: String?
    /// An explanation for people.
    @Nullable public var message: String?
    /// What it asks of the machine.
    public var resources: ResourcesView
    /// The project of its experiment.
    public var project = "default"
    /// Jobs that stand before it; null where it is not in line, as one whose needs have not ended.
    @Nullable public var position: Int?
    /// By when it should start if all before it run to their time limits; null where that cannot be told.
    @Nullable public var expectedAt: String?
    /// When it last became ready to run.
    @Nullable public var queuedAt: String?

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case name
        case experiment
        case state
        case priority
        case reason
        case message
        case resources
        case project
        case position
        case expectedAt = "expected_at"
        case queuedAt = "queued_at"
    }

    /// Makes one from its parts.
    public init(
        jobID: String, name: String, experiment: String, state: String, priority: Int, reason: String? = nil, message: String? = nil,
        resources: ResourcesView, queuedAt: String? = nil
    ) {
        self.jobID = jobID
        self.name = name
        self.experiment = experiment
        self.state = state
        self.priority = priority
        self.reason = reason
        self.message = message
        self.resources = resources
        self.queuedAt = queuedAt
    }
}
