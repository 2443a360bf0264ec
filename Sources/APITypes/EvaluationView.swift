import JSON

/// A registered evaluation of one model.
public struct EvaluationView: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// The job that it belongs to.
    public var jobID: String
    /// The path of the model.
    public var model: String
    /// The checkpoint, where the model is a registered one.
    @Nullable public var modelID: String?
    /// RFC 3339, UTC.
    public var createdAt: String
    /// One entry for each benchmark of the spec.
    public var benchmarks: [BenchmarkView]
    /// Against the evaluation that the spec's `compare_to` names.
    @Nullable public var compare: CompareView?
    /// Null where the spec sets no gate.
    @Nullable public var gate: GateView?

    enum CodingKeys: String, CodingKey {
        case id
        case jobID = "job_id"
        case model
        case modelID = "model_id"
        case createdAt = "created_at"
        case benchmarks
        case compare
        case gate
    }

    /// Makes one from its parts.
    public init(
        id: String, jobID: String, model: String, modelID: String? = nil, createdAt: String, benchmarks: [BenchmarkView],
        compare: CompareView? = nil, gate: GateView? = nil
    ) {
        self.id = id
        self.jobID = jobID
        self.model = model
        self.modelID = modelID
        self.createdAt = createdAt
        self.benchmarks = benchmarks
        self.compare = compare
        self.gate = gate
    }
}

/// The result on one benchmark.
public struct BenchmarkView: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// Identifier or path of the items.
    public var dataset: String
    /// Answers for each item.
    public var samples: Int
    /// Questions asked.
    public var items: Int
    /// `accuracy`, `no_answer`, `avg_tokens`, `pass@k`, `majority@k` …
    public var metrics: OrderedMap<MetricEstimate>

    enum CodingKeys: String, CodingKey {
        case name
        case dataset
        case samples
        case items
        case metrics
    }

    /// Makes one from its parts.
    public init(name: String, dataset: String, samples: Int, items: Int, metrics: OrderedMap<MetricEstimate>) {
        self.name = name
        self.dataset = dataset
        self.samples = samples
        self.items = items
        self.metrics = metrics
    }
}

/// A measured value with its standard error.
public struct MetricEstimate: Codable, Sendable, Equatable {
    /// What was measured.
    public var value: MetricValue
    /// Null where it has none.
    @Nullable public var stderr: Double?

    enum CodingKeys: String, CodingKey {
        case value
        case stderr
    }

    /// Makes one from its parts.
    public init(value: MetricValue, stderr: Double? = nil) {
        self.value = value
        self.stderr = stderr
    }
}

/// Whether an evaluation is good enough to go on.
public struct GateView: Codable, Sendable, Equatable {
    /// True where it holds.
    public var passed: Bool
    /// One entry for each thing examined.
    public var checks: [GateCheckView]

    enum CodingKeys: String, CodingKey {
        case passed
        case checks
    }

    /// Makes one from its parts.
    public init(passed: Bool, checks: [GateCheckView]) {
        self.passed = passed
        self.checks = checks
    }
}

/// One condition of a gate.
public struct GateCheckView: Codable, Sendable, Equatable {
    /// The name of the metric.
    public var metric: String
    /// As the spec writes it, such as `>= baseline + 0.02`.
    public var condition: String
    /// What was measured; null where the metric is missing.
    @Nullable public var value: Double?
    /// The number that the condition came to.
    @Nullable public var limit: Double?
    /// For a condition by significance: the lower end of the interval that was held against the limit.
    @Nullable public var ciLow: Double?
    /// Its upper end.
    @Nullable public var ciHigh: Double?
    /// True where it holds.
    public var passed: Bool

    enum CodingKeys: String, CodingKey {
        case metric
        case condition
        case value
        case limit
        case ciLow = "ci_low"
        case ciHigh = "ci_high"
        case passed
    }

    /// Makes one from its parts.
    public init(metric: String, condition: String, value: Double? = nil, limit: Double? = nil, passed: Bool) {
        self.metric = metric
        self.condition = condition
        self.value = value
        self.limit = limit
        self.passed = passed
    }
}
