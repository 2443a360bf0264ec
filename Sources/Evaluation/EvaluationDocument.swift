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

    /// The result of one benchmark.
    public struct Benchmark: Sendable, Equatable {
        public var name: String
        public var dataset: Dataset
        /// Samples of each item.
        public var samples: Int
        public var grader: Grader
        /// The sampling settings, as sent to the server.
        public var settings: JSONObject
        public var metrics: [(name: String, metric: MetricValue)]
        /// The mean score of each item, in the dataset's order: what a paired comparison needs.
        public var itemScores: [Double]
        /// The file of all answers, one item a line.
        public var itemsPath: String

        public init(
            name: String, dataset: Dataset, samples: Int, grader: Grader, settings: JSONObject,
            metrics: [(name: String, metric: MetricValue)],
            itemScores: [Double], itemsPath: String
        ) {
            self.name = name
            self.dataset = dataset
            self.samples = samples
            self.grader = grader
            self.settings = settings
            self.metrics = metrics
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

extension EvaluationDocument.Benchmark {
    fileprivate var json: JSONValue {
        var data: JSONObject = ["sha256": .string(dataset.sha256), "path": .string(dataset.path)]
        if let id = dataset.id { data["id"] = .string(id) }
        var values = JSONObject()
        for (name, metric) in metrics {
            values[name] = ["value": .double(metric.value), "stderr": metric.standardError.map { .double($0) } ?? .null]
        }
        return [
            "name": .string(name), "dataset": .object(data), "samples": .int(Int64(samples)), "grader": .string(grader.rawValue),
            "settings": .object(settings), "item_count": .int(Int64(itemScores.count)), "metrics": .object(values),
            "items": .string(itemsPath), "item_scores": .array(itemScores.map { .double($0) }),
        ]
    }
}

// MARK: - Reading

extension EvaluationDocument {
    /// Why a document cannot be used.
    public struct FormatError: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// Reads what `json` wrote.
    public init(json: JSONValue) throws(FormatError) {
        guard let version = json["version"]?.int else { throw FormatError(description: "it is no evaluation: 'version' is missing") }
        guard version == Self.version else { throw FormatError(description: "its version is \(version); this program reads version 1") }
        guard let benchmarks = json["benchmarks"]?.array else {
            throw FormatError(description: "it is no evaluation: 'benchmarks' is missing")
        }
        model = json["model"]?.string ?? ""
        server = json["server"] ?? .null
        self.benchmarks = []
        for (index, benchmark) in benchmarks.enumerated() {
            self.benchmarks.append(try Benchmark(json: benchmark, at: JSONPointer(["benchmarks"]) / index))
        }
        comparison = json["compare"]
        gate = json["gate"].flatMap { GateOutcome(json: $0) }
    }
}

extension EvaluationDocument.Benchmark {
    fileprivate init(json: JSONValue, at pointer: JSONPointer) throws(EvaluationDocument.FormatError) {
        func missing(_ key: String) -> EvaluationDocument.FormatError {
            EvaluationDocument.FormatError(description: "'\(pointer / key)' is missing or of the wrong type")
        }
        guard let name = json["name"]?.string else { throw missing("name") }
        guard let sha256 = json["dataset"]?["sha256"]?.string else { throw missing("dataset") }
        guard let samples = json["samples"]?.int else { throw missing("samples") }
        guard let grader = json["grader"]?.string.flatMap(Grader.init(rawValue:)) else { throw missing("grader") }
        guard let metrics = json["metrics"]?.object else { throw missing("metrics") }
        guard let scores = json["item_scores"]?.array else { throw missing("item_scores") }
        self.init(
            name: name, dataset: .init(id: json["dataset"]?["id"]?.string, sha256: sha256, path: json["dataset"]?["path"]?.string ?? ""),
            samples: samples, grader: grader, settings: json["settings"]?.object ?? [:],
            metrics: metrics.compactMap { name, metric in
                metric["value"]?.double.map { (name: name, metric: MetricValue(value: $0, standardError: metric["stderr"]?.double)) }
            },
            itemScores: scores.compactMap(\.double), itemsPath: json["items"]?.string ?? "")
        guard itemScores.count == scores.count else { throw missing("item_scores") }
    }
}
