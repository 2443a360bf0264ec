import JSON

/// A job, as `GET /v1/jobs/{id}` gives it.
public struct JobView: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// The experiment it belongs to.
    public var experimentID: String
    /// The experiment's name.
    public var experiment: String
    /// Its name.
    public var name: String
    /// What it does, such as `train`.
    public var kind: String
    /// The program that the kind runs on, where it names one.
    @Nullable public var engine: String?
    /// The name that the jobs of one matrix share.
    @Nullable public var group: String?
    /// The matrix values of this member of its group.
    @Nullable public var matrix: JSONValue?
    /// Its state, in the words of the state machine.
    public var state: String
    /// A word for clients to compare.
    @Nullable public var reason: String?
    /// An explanation for people.
    @Nullable public var message: String?
    /// 0 to 100; the higher goes first.
    public var priority: Int
    /// What it asks of the machine.
    public var resources: ResourcesView
    /// The project of its experiment.
    public var project = "default"
    /// True where jobs of higher priority may take its place.
    public var preemptible = false
    /// True while a user, or its spec, keeps it from starting.
    public var held = false
    /// The group of which only so many jobs run at a time.
    @Nullable public var concurrencyGroup: String?
    /// The cluster that it runs on; null for the daemon's machine.
    @Nullable public var cluster: String?
    /// After which an attempt is stopped.
    @Nullable public var timeoutSeconds: Double?
    /// Identifiers of the jobs that must succeed before.
    public var needs: [String]
    /// By name: `{type, id, path, …}`.
    public var outputs: JSONValue
    /// Free figures that the worker left for users.
    @Nullable public var summary: JSONValue?
    /// The job whose outputs stand in for a run of this one.
    @Nullable public var cachedFrom: String?
    /// Where a job of kind `serve` answers; null while it does not.
    @Nullable public var endpoint: EndpointView?
    /// RFC 3339, UTC.
    public var createdAt: String
    /// When it last became ready to run.
    @Nullable public var queuedAt: String?
    /// When its last attempt started.
    @Nullable public var startedAt: String?
    /// When it came to its end.
    @Nullable public var finishedAt: String?
    /// How far it is.
    @Nullable public var progress: ProgressView?
    /// In order; empty until the first start.
    public var attempts: [AttemptView]

    enum CodingKeys: String, CodingKey {
        case id
        case experimentID = "experiment_id"
        case experiment
        case name
        case kind
        case engine
        case group
        case matrix
        case state
        case reason
        case message
        case priority
        case resources
        case project
        case preemptible
        case held
        case concurrencyGroup = "concurrency_group"
        case cluster
        case timeoutSeconds = "timeout_seconds"
        case needs
        case outputs
        case summary
        case cachedFrom = "cached_from"
        case endpoint
        case createdAt = "created_at"
        case queuedAt = "queued_at"
        case startedAt = "started_at"
        case finishedAt = "finished_at"
        case progress
        case attempts
    }

    /// Makes one from its parts.
    public init(
        id: String, experimentID: String, experiment: String, name: String, kind: String, engine: String? = nil, group: String? = nil,
        matrix: JSONValue? = nil, state: String, reason: String? = nil, message: String? = nil, priority: Int, resources: ResourcesView,
        needs: [String], outputs: JSONValue, summary: JSONValue? = nil, cachedFrom: String? = nil, createdAt: String,
        queuedAt: String? = nil, startedAt: String? = nil, finishedAt: String? = nil, progress: ProgressView? = nil,
        attempts: [AttemptView]
    ) {
        self.id = id
        self.experimentID = experimentID
        self.experiment = experiment
        self.name = name
        self.kind = kind
        self.engine = engine
        self.group = group
        self.matrix = matrix
        self.state = state
        self.reason = reason
        self.message = message
        self.priority = priority
        self.resources = resources
        self.needs = needs
        self.outputs = outputs
        self.summary = summary
        self.cachedFrom = cachedFrom
        self.createdAt = createdAt
        self.queuedAt = queuedAt
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.progress = progress
        self.attempts = attempts
    }
}

/// Where a model server answers.
public struct EndpointView: Codable, Sendable, Equatable {
    /// The base URL, without `/v1`.
    public var url: String
    /// What requests call the model.
    public var model: String

    /// Makes one from its parts.
    public init(url: String, model: String) { (self.url, self.model) = (url, model) }
}

/// What a job asks of the machine.
public struct ResourcesView: Codable, Sendable, Equatable {
    /// Whole GPUs, at least so many.
    public var gpus: Int
    /// The most whole GPUs that it can use.
    public var gpusMax: Int
    /// A part of one GPU; 0 where it asks for whole ones.
    public var gpuShare = 0.0
    /// What each GPU must have; 0 for any.
    public var gpuMemoryBytes: Int64 = 0
    /// What each GPU's product name must contain.
    @Nullable public var model: String?
    /// CPU cores.
    public var cpus: Int
    /// 0 where the job names none.
    public var memoryBytes: Int64
    /// Machines of a cluster, each with the GPUs, CPUs and memory above.
    public var nodes = 1
    /// Whether a cluster's machines are to be its own meanwhile.
    public var exclusive = false
    /// Units of the machine's named counters.
    public var counters: OrderedMap<Int> = [:]
    /// Further ways to run, in the order of preference.
    public var anyOf: [ResourcesView] = []

    enum CodingKeys: String, CodingKey {
        case gpus
        case gpusMax = "gpus_max"
        case gpuShare = "gpu_share"
        case gpuMemoryBytes = "gpu_memory_bytes"
        case model
        case counters
        case anyOf = "any_of"
        case cpus
        case memoryBytes = "memory_bytes"
        case nodes
        case exclusive
    }

    /// Makes one from its parts.
    public init(gpus: Int, cpus: Int, memoryBytes: Int64) {
        self.gpus = gpus
        gpusMax = gpus
        self.cpus = cpus
        self.memoryBytes = memoryBytes
    }
}

/// One execution of a job.
public struct AttemptView: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// 1, 2 …
    public var number: Int
    /// Its state, in the words of the state machine.
    public var state: String
    /// Null while it runs, and where a signal ended it.
    @Nullable public var exitCode: Int?
    /// Such as `SIGKILL`.
    @Nullable public var signal: Int?
    /// The machine-readable reason of its end.
    @Nullable public var cause: String?
    /// An explanation for people.
    @Nullable public var message: String?
    /// UUIDs of the GPUs it holds or held.
    public var gpus: [String]
    /// The part of its one GPU; 0 where its GPUs are whole.
    public var gpuShare = 0.0
    /// What tells of the cause of its end.
    public var evidence: [EvidenceView] = []
    /// The cluster that it runs on; null for the daemon's machine.
    @Nullable public var cluster: String?
    /// What the cluster calls it, such as Slurm's job id.
    @Nullable public var externalID: String?
    /// The checkpoint step from which it went on.
    @Nullable public var resumedFromStep: Int?
    /// When it started.
    @Nullable public var startedAt: String?
    /// When it came to its end.
    @Nullable public var finishedAt: String?

    enum CodingKeys: String, CodingKey {
        case id
        case number
        case state
        case exitCode = "exit_code"
        case signal
        case cause
        case message
        case gpus
        case gpuShare = "gpu_share"
        case evidence
        case cluster
        case externalID = "external_id"
        case resumedFromStep = "resumed_from_step"
        case startedAt = "started_at"
        case finishedAt = "finished_at"
    }

    /// Makes one from its parts.
    public init(
        id: String, number: Int, state: String, exitCode: Int? = nil, signal: Int? = nil, cause: String? = nil,
        message: String? = nil, gpus: [String], resumedFromStep: Int? = nil, startedAt: String? = nil, finishedAt: String? = nil
    ) {
        self.id = id
        self.number = number
        self.state = state
        self.exitCode = exitCode
        self.signal = signal
        self.cause = cause
        self.message = message
        self.gpus = gpus
        self.resumedFromStep = resumedFromStep
        self.startedAt = startedAt
        self.finishedAt = finishedAt
    }
}
