import JSON

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
    /// The entry of `benchmarks`.
    var json: JSONValue {
        var data: JSONObject = ["sha256": .string(dataset.sha256), "path": .string(dataset.path)]
        if let id = dataset.id { data["id"] = .string(id) }
        var members: JSONObject = [
            "name": .string(name), "dataset": .object(data), "samples": .int(Int64(samples)), "grader": .string(grader.rawValue),
            "grading": .object(grading), "definition": .string(definition.rawValue), "settings": .object(settings),
            "item_count": .int(Int64(itemScores.count)), "metrics": MetricsCoding.json(metrics),
        ]
        if let byK { members["by_k"] = byK.json }
        if let runs { members["runs"] = runs.json }
        if !tasks.isEmpty {
            members["tasks"] = .array(
                tasks.map { ["name": .string($0.name), "items": .int(Int64($0.items)), "metrics": MetricsCoding.json($0.metrics)] })
            members["item_tasks"] = .array(itemTasks.map { .string($0) })
        }
        members["items"] = .string(itemsPath)
        members["item_scores"] = .array(itemScores.map { .double($0) })
        return .object(members)
    }

    /// Reads an entry of `benchmarks`.
    init(json: JSONValue, at pointer: JSONPointer) throws(EvaluationDocument.FormatError) {
        func missing(_ key: String) -> EvaluationDocument.FormatError {
            EvaluationDocument.FormatError(description: "'\(pointer / key)' is missing or of the wrong type")
        }
        guard let name = json["name"]?.string else { throw missing("name") }
        guard let sha256 = json["dataset"]?["sha256"]?.string else { throw missing("dataset") }
        guard let samples = json["samples"]?.int else { throw missing("samples") }
        guard let grader = json["grader"]?.string.flatMap(Grader.init(rawValue:)) else { throw missing("grader") }
        guard let metrics = json["metrics"]?.object else { throw missing("metrics") }
        guard let scores = json["item_scores"]?.array else { throw missing("item_scores") }
        let itemTasks = (json["item_tasks"]?.array ?? []).compactMap(\.string)
        self.init(
            name: name, dataset: .init(id: json["dataset"]?["id"]?.string, sha256: sha256, path: json["dataset"]?["path"]?.string ?? ""),
            samples: samples, grader: grader, grading: json["grading"]?.object ?? [:],
            definition: json["definition"]?.string.flatMap(MetricDefinition.init(rawValue:)) ?? .unbiased,
            settings: json["settings"]?.object ?? [:], metrics: MetricsCoding.metrics(metrics),
            byK: json["by_k"].flatMap { MetricsByK(json: $0, samples: samples) }, runs: json["runs"].flatMap { RunStatistics(json: $0) },
            tasks: (json["tasks"]?.array ?? []).map { task in
                .init(
                    name: task["name"]?.string ?? "", items: task["items"]?.int ?? 0,
                    metrics: MetricsCoding.metrics(task["metrics"]?.object ?? [:]))
            },
            itemTasks: itemTasks.count == scores.count ? itemTasks : [], itemScores: scores.compactMap(\.double),
            itemsPath: json["items"]?.string ?? "")
        guard itemScores.count == scores.count else { throw missing("item_scores") }
    }
}

private enum MetricsCoding {
    static func json(_ metrics: [(name: String, metric: MetricValue)]) -> JSONValue {
        var values = JSONObject()
        for (name, metric) in metrics {
            var members: JSONObject = ["value": .double(metric.value), "stderr": metric.standardError.map { .double($0) } ?? .null]
            if let interval = metric.interval { members["ci95"] = [.double(interval.lowerBound), .double(interval.upperBound)] }
            values[name] = .object(members)
        }
        return .object(values)
    }

    static func metrics(_ json: JSONObject) -> [(name: String, metric: MetricValue)] {
        json.compactMap { name, metric in
            guard let value = metric["value"]?.double else { return nil }
            var interval: ClosedRange<Double>?
            if let low = metric["ci95"]?[0]?.double, let high = metric["ci95"]?[1]?.double, low <= high { interval = low...high }
            return (name: name, metric: MetricValue(value: value, standardError: metric["stderr"]?.double, interval: interval))
        }
    }

    static func numbers(_ values: [Double]) -> JSONValue { .array(values.map { .double($0) }) }
}

extension MetricsByK {
    fileprivate var json: JSONValue {
        [
            "mean": MetricsCoding.numbers(mean), "pass": MetricsCoding.numbers(pass), "majority": MetricsCoding.numbers(majority),
            "no_answer_mean": MetricsCoding.numbers(noAnswerMean), "no_answer_in_any": MetricsCoding.numbers(noAnswerInAny),
        ]
    }

    /// `nil` where a list does not have one number for each k.
    fileprivate init?(json: JSONValue, samples: Int) {
        func list(_ key: String) -> [Double]? {
            guard let values = json[key]?.array?.compactMap(\.double), values.count == samples else { return nil }
            return values
        }
        guard let mean = list("mean"), let pass = list("pass"), let majority = list("majority"),
            let noAnswerMean = list("no_answer_mean"), let noAnswerInAny = list("no_answer_in_any")
        else { return nil }
        self.init(mean: mean, pass: pass, majority: majority, noAnswerMean: noAnswerMean, noAnswerInAny: noAnswerInAny)
    }
}

extension RunStatistics {
    fileprivate var json: JSONValue {
        [
            "accuracy": MetricsCoding.numbers(accuracies), "std_dev_across_runs": .double(deviation),
            "std_err_across_runs": .double(standardError), "avg_sample_std_dev": .double(meanItemDeviation),
        ]
    }

    fileprivate init?(json: JSONValue) {
        guard let accuracies = json["accuracy"]?.array?.compactMap(\.double), let deviation = json["std_dev_across_runs"]?.double,
            let standardError = json["std_err_across_runs"]?.double, let itemDeviation = json["avg_sample_std_dev"]?.double
        else { return nil }
        self.init(accuracies: accuracies, deviation: deviation, standardError: standardError, meanItemDeviation: itemDeviation)
    }
}
