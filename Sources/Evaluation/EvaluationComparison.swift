import JSON

/// Two evaluations, benchmark by benchmark.
public struct EvaluationComparison: Sendable {
    /// What a comparison came to.
    public enum Verdict: String, Sendable {
        /// The candidate is worse, and not by chance.
        case regression
        case improvement
        /// The difference may be chance.
        case unclear
    }

    /// The items of one task within a benchmark.
    public struct Task: Sendable {
        public var name: String
        public var paired: PairedComparison
        /// The probability of the difference by chance, raised for the number of tasks compared.
        public var adjusted: Double?
        public var verdict: Verdict
    }

    /// The comparison of one benchmark.
    public struct Row: Sendable {
        public var benchmark: String
        /// `nil` where the two cannot be paired; `obstacle` says why.
        public var paired: PairedComparison?
        public var obstacle: String?
        /// The probability of the difference by chance, raised for the number of benchmarks compared.
        public var adjusted: Double?
        /// `nil` where the two cannot be paired.
        public var verdict: Verdict?
        /// The tasks of the benchmark, where its items name them.
        public var tasks: [Task] = []
        /// Metrics that both have, base before candidate.
        public var metrics: [(name: String, base: Double, candidate: Double)]
    }

    public var rows: [Row]

    /// Names of the benchmarks, and of tasks as `<benchmark>/<task>`, in which the candidate is worse: what it has forgotten.
    public var regressions: [String] {
        rows.flatMap { row in
            (row.verdict == .regression ? [row.benchmark] : [])
                + row.tasks.filter { $0.verdict == .regression }.map { "\(row.benchmark)/\($0.name)" }
        }
    }

    /// Pairs the items of benchmarks with equal names, as far as both were measured on the same data by the same rules.
    ///
    /// - Parameter significance: a difference counts where its probability by chance is below this. It is raised by Holm's method, once
    ///   over all benchmarks and once over all tasks, so that many of them do not make one false alarm likely.
    public init(base: EvaluationDocument, candidate: EvaluationDocument, significance: Double = 0.05) {
        rows = candidate.benchmarks.map { Self.row(base.benchmark($0.name), $0) }
        let tested = rows.indices.filter { rows[$0].paired?.probability != nil }
        for (index, adjusted) in zip(tested, ExactTests.holm(tested.compactMap { rows[$0].paired?.probability })) {
            rows[index].adjusted = adjusted
        }
        for index in rows.indices {
            rows[index].verdict = rows[index].paired.map { Self.verdict($0, rows[index].adjusted, significance) }
        }
        let tasks = rows.indices.flatMap { row in rows[row].tasks.indices.map { (row: row, task: $0) } }
            .filter { rows[$0.row].tasks[$0.task].paired.probability != nil }
        let probabilities = tasks.compactMap { rows[$0.row].tasks[$0.task].paired.probability }
        for (place, adjusted) in zip(tasks, ExactTests.holm(probabilities)) {
            rows[place.row].tasks[place.task].adjusted = adjusted
            rows[place.row].tasks[place.task].verdict = Self.verdict(
                rows[place.row].tasks[place.task].paired, adjusted, significance)
        }
    }

    private static func verdict(_ paired: PairedComparison, _ probability: Double?, _ significance: Double) -> Verdict {
        guard let probability, probability < significance else { return .unclear }
        return paired.difference < 0 ? .regression : .improvement
    }

    /// An item that one side got right and the other did not.
    public struct Flip: Sendable, Equatable {
        public var benchmark: String
        /// The place in the benchmark's data, from 0.
        public var item: Int
        /// `nil` where the item names none.
        public var task: String?
        /// Mean scores over the samples.
        public var base: Double
        public var candidate: Double
        /// True where the candidate is right.
        public var isImprovement: Bool { PairedComparison.isRight(candidate) }
    }

    /// All items that flipped, in the order of the candidate's benchmarks and of their data; none of benchmarks that cannot be paired.
    public static func flips(base: EvaluationDocument, candidate: EvaluationDocument) -> [Flip] {
        candidate.benchmarks.flatMap { new -> [Flip] in
            guard let old = base.benchmark(new.name), row(old, new).paired != nil else { return [] }
            return zip(old.itemScores, new.itemScores).enumerated().compactMap { item, scores in
                guard PairedComparison.isRight(scores.0) != PairedComparison.isRight(scores.1) else { return nil }
                let task = new.itemTasks.isEmpty || new.itemTasks[item].isEmpty ? nil : new.itemTasks[item]
                return Flip(benchmark: new.name, item: item, task: task, base: scores.0, candidate: scores.1)
            }
        }
    }

    private static func row(_ old: EvaluationDocument.Benchmark?, _ new: EvaluationDocument.Benchmark) -> Row {
        guard let old else { return Row(benchmark: new.name, obstacle: "the base has no such benchmark", metrics: []) }
        let metrics = new.metrics.compactMap { entry in
            old.metric(entry.name).map { (name: entry.name, base: $0.value, candidate: entry.metric.value) }
        }
        guard old.dataset.sha256 == new.dataset.sha256 else {
            return Row(benchmark: new.name, obstacle: "measured on other data", metrics: metrics)
        }
        guard old.grader == new.grader else {
            return Row(
                benchmark: new.name, obstacle: "graded by '\(old.grader.rawValue)' and by '\(new.grader.rawValue)'", metrics: metrics)
        }
        // With different limits both hold the first items of the same file.
        let count = min(old.itemScores.count, new.itemScores.count)
        let paired = PairedComparison(base: Array(old.itemScores.prefix(count)), candidate: Array(new.itemScores.prefix(count)))
        var row = Row(benchmark: new.name, paired: paired, obstacle: paired == nil ? "no common items" : nil, metrics: metrics)
        var places: [String: [Int]] = [:]
        for (index, task) in new.itemTasks.prefix(count).enumerated() { places[task, default: []].append(index) }
        row.tasks = new.tasks.compactMap { task in
            guard let items = places[task.name],
                var paired = PairedComparison(base: items.map { old.itemScores[$0] }, candidate: items.map { new.itemScores[$0] })
            else { return nil }
            // The numbers of items are those of the benchmark everywhere.
            for index in paired.changes.indices { paired.changes[index].item = items[paired.changes[index].item] }
            return Task(name: task.name, paired: paired, verdict: .unclear)
        }
        return row
    }

    /// The comparison as JSON: one entry for each benchmark of the candidate.
    public var json: JSONValue { .array(rows.map { .object(Self.members($0)) }) }

    private static func members(_ row: Row) -> JSONObject {
        var members: JSONObject = ["name": .string(row.benchmark)]
        if let obstacle = row.obstacle { members["not_paired"] = .string(obstacle) }
        if let paired = row.paired { add(paired, row.adjusted, row.verdict, to: &members) }
        if !row.tasks.isEmpty {
            members["tasks"] = .array(
                row.tasks.map { task in
                    var entry: JSONObject = ["name": .string(task.name)]
                    add(task.paired, task.adjusted, task.verdict, to: &entry)
                    return .object(entry)
                })
        }
        var metrics = JSONObject()
        for (name, base, candidate) in row.metrics {
            metrics[name] = ["base": .double(base), "candidate": .double(candidate), "difference": .double(candidate - base)]
        }
        members["metrics"] = .object(metrics)
        return members
    }

    private static func add(_ paired: PairedComparison, _ adjusted: Double?, _ verdict: Verdict?, to members: inout JSONObject) {
        for (key, value) in paired.json.object ?? [:] { members[key] = value }
        members["p_adjusted"] = adjusted.map { .double($0) } ?? .null
        if let verdict { members["verdict"] = .string(verdict.rawValue) }
    }
}
