import JSON

/// The result of an evaluation, as in `evaluation.json`.
public struct EvaluationDocument: Sendable, Equatable {
    public static let version: Int64 = 1

    /// The dataset that was asked, by content.
    public struct Dataset: Sendable, Equatable {
        /// `nil` for a file that is not registered.
        public var id: String?
        public var sha256: String
        public var path: String

        public init(id: String?, sha256: String, path: String) {
            self.id = id
            self.sha256 = sha256
            self.path = path
        }
    }

    /// The result on the items of one task, where the items of a benchmark name their tasks.
    public struct Task: Sendable {
        public var name: String
        public var items: Int
        public var metrics: [(name: String, metric: MetricValue)]

        public init(name: String, items: Int, metrics: [(name: String, metric: MetricValue)]) {
            self.name = name
            self.items = items
            self.metrics = metrics
        }
    }

    /// The result of one benchmark.
    public struct Benchmark: Sendable, Equatable {
        public var name: String
        public var dataset: Dataset
        /// Samples of each item.
        public var samples: Int
        public var grader: Grader
        /// What the grader was told, as in the spec.
        public var grading: JSONObject
        public var definition: MetricDefinition
        /// The sampling settings, as sent to the server.
        public var settings: JSONObject
        public var metrics: [(name: String, metric: MetricValue)]
        /// `nil` in documents of before this was kept.
        public var byK: MetricsByK?
        /// How single runs vary; `nil` for one sample.
        public var runs: RunStatistics?
        /// The results by task; empty where the items name none.
        public var tasks: [Task]
        /// The task of each item, in the dataset's order; empty where the items name none.
        public var itemTasks: [String]
        /// The mean score of each item, in the dataset's order: what a paired comparison needs.
        public var itemScores: [Double]
        /// The file of all answers, one item a line.
        public var itemsPath: String

        public init(
            name: String, dataset: Dataset, samples: Int, grader: Grader, grading: JSONObject = [:],
            definition: MetricDefinition = .unbiased, settings: JSONObject, metrics: [(name: String, metric: MetricValue)],
            byK: MetricsByK? = nil, runs: RunStatistics? = nil, tasks: [Task] = [], itemTasks: [String] = [], itemScores: [Double],
            itemsPath: String
        ) {
            self.name = name
            self.dataset = dataset
            self.samples = samples
            self.grader = grader
            self.grading = grading
            self.definition = definition
            self.settings = settings
            self.metrics = metrics
            self.byK = byK
            self.runs = runs
            self.tasks = tasks
            self.itemTasks = itemTasks
            self.itemScores = itemScores
            self.itemsPath = itemsPath
        }

        /// The metric of this name; `nil` where it was not measured.
        public func metric(_ name: String) -> MetricValue? { metrics.first { $0.name == name }?.metric }

        public static func == (left: Benchmark, right: Benchmark) -> Bool { left.json == right.json }
    }

    public var model: String
    /// What answered: engine and its arguments, or a URL.
    public var server: JSONValue
    public var benchmarks: [Benchmark]
    /// The comparison with a baseline.
    public var comparison: JSONValue?
    public var gate: GateOutcome?

    public init(model: String, server: JSONValue, benchmarks: [Benchmark], comparison: JSONValue? = nil, gate: GateOutcome? = nil) {
        self.model = model
        self.server = server
        self.benchmarks = benchmarks
        self.comparison = comparison
        self.gate = gate
    }

    /// The benchmark of this name; `nil` where there is none.
    public func benchmark(_ name: String) -> Benchmark? { benchmarks.first { $0.name == name } }

    /// The document as JSON.
    public var json: JSONValue {
        var members: JSONObject = [
            "version": .int(Self.version), "model": .string(model), "server": server, "benchmarks": .array(benchmarks.map(\.json)),
        ]
        if let comparison { members["compare"] = comparison }
        if let gate { members["gate"] = gate.json }
        return .object(members)
    }
}
