import JSON

/// What a submission would do: the answer to `?dry_run=true`.
public struct PlanView: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// The project it belongs to.
    public var project: String
    /// False where some job could never run on this machine.
    public var fits: Bool
    /// What is allowed but looks wrong.
    public var warnings: [String]
    /// In an order in which they could run.
    public var jobs: [PlannedJobView]

    enum CodingKeys: String, CodingKey {
        case name
        case project
        case fits
        case warnings
        case jobs
    }

    /// Makes one from its parts.
    public init(name: String, project: String, fits: Bool, warnings: [String], jobs: [PlannedJobView]) {
        self.name = name
        self.project = project
        self.fits = fits
        self.warnings = warnings
        self.jobs = jobs
    }
}

/// One job of a plan.
public struct PlannedJobView: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// What it does, such as `train`.
    public var kind: String
    /// The program that the kind runs on, where it names one.
    @Nullable public var engine: String?
    /// The name that the jobs of one matrix share.
    @Nullable public var group: String?
    /// Names of jobs.
    public var needs: [String]
    /// What it asks of the machine.
    public var resources: ResourcesView
    /// What would be executed.
    public var argv: [String]
    /// Values of secrets are hidden.
    public var environment: OrderedMap<String>
    /// Names of what it will register.
    public var outputs: [String]
    /// False where it could never run on this machine.
    public var fits: Bool
    /// Why it does not fit.
    @Nullable public var reason: String?
    /// What a training is expected to take of each GPU's memory, in words; null where nothing can be said before the start.
    @Nullable public var memoryEstimate: String?
    /// The container that it runs in, in short: runtime, image, and what its spec and the configuration show it of the machine.
    @Nullable public var container: String?

    enum CodingKeys: String, CodingKey {
        case name
        case kind
        case engine
        case group
        case needs
        case resources
        case argv
        case environment
        case outputs
        case fits
        case reason
        case memoryEstimate = "memory_estimate"
        case container
    }

    /// Makes one from its parts.
    public init(
        name: String, kind: String, engine: String? = nil, group: String? = nil, needs: [String], resources: ResourcesView,
        argv: [String], environment: OrderedMap<String>, outputs: [String], fits: Bool, reason: String? = nil,
        memoryEstimate: String? = nil,
        container: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.engine = engine
        self.group = group
        self.needs = needs
        self.resources = resources
        self.argv = argv
        self.environment = environment
        self.outputs = outputs
        self.fits = fits
        self.reason = reason
        self.memoryEstimate = memoryEstimate
        self.container = container
    }
}
