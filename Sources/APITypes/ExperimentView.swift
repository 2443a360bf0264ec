import JSON

/// An experiment, as `GET /v1/experiments/{id}` and the answer to a submission give it.
public struct ExperimentView: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// Its name.
    public var name: String
    /// The project it belongs to.
    public var project: String
    /// `pending`, `running`, `succeeded`, `failed` or `cancelled`.
    public var state: String
    /// A word for clients to compare, such as the reason of the job that failed it.
    @Nullable public var reason: String?
    /// The same for people.
    @Nullable public var message: String?
    /// What the spec says it is for.
    @Nullable public var description: String?
    /// Free labels from the spec.
    public var tags: OrderedMap<String>
    /// RFC 3339, UTC.
    public var createdAt: String
    /// Set once every job is in a terminal state.
    @Nullable public var finishedAt: String?
    /// The submitted document after overrides; left out of lists.
    public var spec: JSONValue?
    /// Its jobs, in the order of the spec.
    public var jobs: [JobSummary]
    /// What the check of its spec passed over, and why; only in the answer to a submission, where there is any.
    public var warnings: [String]?

    enum CodingKeys: String, CodingKey {
        case id
        case name
        case project
        case state
        case reason
        case message
        case description
        case tags
        case createdAt = "created_at"
        case finishedAt = "finished_at"
        case spec
        case jobs
        case warnings
    }

    /// Makes one from its parts.
    public init(
        id: String, name: String, project: String, state: String, reason: String? = nil, message: String? = nil,
        description: String? = nil, tags: OrderedMap<String>, createdAt: String, finishedAt: String? = nil, spec: JSONValue? = nil,
        jobs: [JobSummary]
    ) {
        self.id = id
        self.name = name
        self.project = project
        self.state = state
        self.reason = reason
        self.message = message
        self.description = description
        self.tags = tags
        self.createdAt = createdAt
        self.finishedAt = finishedAt
        self.spec = spec
        self.jobs = jobs
        warnings = nil
    }
}

/// One job within an experiment.
public struct JobSummary: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// Unique within the experiment.
    public var name: String
    /// What it does, such as `train`.
    public var kind: String
    /// The name that the jobs of one matrix share.
    @Nullable public var group: String?
    /// The matrix values of this member of its group; left out where there are none.
    public var matrix: JSONValue?
    /// Its state, in the words of the state machine.
    public var state: String
    /// A word for clients to compare.
    @Nullable public var reason: String?
    /// Left out before the worker has told of any.
    public var progress: ProgressView?

    enum CodingKeys: String, CodingKey {
        case id
        case name
        case kind
        case group
        case matrix
        case state
        case reason
        case progress
    }

    /// Makes one from its parts.
    public init(
        id: String, name: String, kind: String, group: String? = nil, matrix: JSONValue? = nil, state: String, reason: String? = nil,
        progress: ProgressView? = nil
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.group = group
        self.matrix = matrix
        self.state = state
        self.reason = reason
        self.progress = progress
    }
}

/// How far a running job is, by what its worker reports.
public struct ProgressView: Codable, Sendable, Equatable {
    /// Units done: steps, items or answers.
    public var done: Double
    /// All units; null while unknown.
    @Nullable public var total: Double?
    /// Units a second over the last minutes: an estimate.
    @Nullable public var ratePerSecond: Double?
    /// An estimate by the rate.
    @Nullable public var secondsLeft: Double?

    enum CodingKeys: String, CodingKey {
        case done
        case total
        case ratePerSecond = "rate_per_second"
        case secondsLeft = "seconds_left"
    }

    /// Makes one from its parts.
    public init(done: Double, total: Double? = nil, ratePerSecond: Double? = nil, secondsLeft: Double? = nil) {
        self.done = done
        self.total = total
        self.ratePerSecond = ratePerSecond
        self.secondsLeft = secondsLeft
    }
}

/// The answer to `POST /v1/experiments`.
public typealias SubmissionView = ExperimentView
