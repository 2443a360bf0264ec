/// The tables of an evaluation: for each benchmark the rows that `ns summarize_results` of NeMo-Skills prints.
public struct EvaluationReport: Sendable, Equatable {
    /// What stands in a cell.
    public enum Value: Sendable, Equatable {
        case count(Int)
        /// A share in percent, and how far single runs lie apart where that is shown.
        case percent(Double, deviation: Double? = nil)
    }

    /// One row: a way to count several samples.
    public struct Mode: Sendable, Equatable {
        public var name: String
        public var values: [(column: String, value: Value)]

        /// The cell of this column; `nil` where the row has none.
        public func value(_ column: String) -> Value? { values.first { $0.column == column }?.value }

        public static func == (left: Mode, right: Mode) -> Bool {
            left.name == right.name && left.values.elementsEqual(right.values) { $0.column == $1.column && $0.value == $1.value }
        }
    }

    /// The table of one benchmark, one of its tasks, or a group of benchmarks.
    public struct Section: Sendable, Equatable {
        public var name: String
        /// The rows over all samples, which the printed table shows.
        public var modes: [Mode]
        /// The rows of all k from 1 on, for the document of numbers.
        public var allModes: [Mode]
    }

    public var sections: [Section]
    /// What could not be shown, and why.
    public var notes: [String]

    /// - Parameters:
    ///   - showsDeviation: whether means over samples come with the standard deviation across runs.
    ///   - showsTasks: whether the tasks of a benchmark get tables of their own, named `<benchmark>/<task>`.
    public init(_ document: EvaluationDocument, showsDeviation: Bool = false, showsTasks: Bool = true) {
        sections = []
        notes = []
        for benchmark in document.benchmarks {
            sections.append(Self.section(benchmark, showsDeviation: showsDeviation))
            for task in showsTasks ? benchmark.tasks : [] { sections.append(Self.section(task, of: benchmark)) }
        }
        addGroups(document.benchmarks.map(\.name))
    }

    /// The rows of k samples for k from 1 on; the last three are those of all samples.
    private static func section(_ benchmark: EvaluationDocument.Benchmark, showsDeviation: Bool) -> Section {
        let correctness = column(benchmark.grader)
        let items = benchmark.itemScores.count
        func mode(_ name: String, _ value: Double, noAnswer: Double, deviation: Double? = nil) -> Mode {
            row(
                name, items: items, metrics: benchmark.metric, correctness: correctness,
                value: .percent(value * 100, deviation: deviation.map { $0 * 100 }), noAnswer: noAnswer)
        }
        guard benchmark.samples > 1, let byK = benchmark.byK else {
            let single = mode(
                benchmark.definition.singleLabel, benchmark.metric("accuracy")?.value ?? 0,
                noAnswer: benchmark.metric("no_answer")?.value ?? 0)
            return Section(name: benchmark.name, modes: [single], allModes: [single])
        }
        let deviation = showsDeviation ? benchmark.runs?.deviation : nil
        let all = (1...benchmark.samples).flatMap { k -> [Mode] in
            let index = k - 1
            if k == 1 { return [mode("pass@1", byK.pass[0], noAnswer: byK.noAnswerInAny[0])] }
            return [
                mode(
                    benchmark.definition.meanLabel(k), byK.mean[index], noAnswer: byK.noAnswerMean[index],
                    deviation: k == benchmark.samples ? deviation : nil),
                mode("majority@\(k)", byK.majority[index], noAnswer: byK.noAnswerInAny[index]),
                mode("pass@\(k)", byK.pass[index], noAnswer: byK.noAnswerInAny[index]),
            ]
        }
        return Section(name: benchmark.name, modes: Array(all.suffix(3)), allModes: all)
    }

    private static func section(_ task: EvaluationDocument.Task, of benchmark: EvaluationDocument.Benchmark) -> Section {
        let correctness = column(benchmark.grader)
        func metric(_ name: String) -> MetricValue? { task.metrics.first { $0.name == name }?.metric }
        func mode(_ name: String, _ key: String, noAnswer: String) -> Mode? {
            metric(key).map {
                row(
                    name, items: task.items, metrics: metric, correctness: correctness, value: .percent($0.value * 100),
                    noAnswer: metric(noAnswer)?.value ?? 0)
            }
        }
        let k = benchmark.samples
        let single = mode(benchmark.definition.singleLabel, "accuracy", noAnswer: "no_answer")
        let several = [
            mode(benchmark.definition.meanLabel(k), "accuracy", noAnswer: "no_answer"),
            mode("majority@\(k)", "majority@\(k)", noAnswer: "no_answer@\(k)"),
            mode("pass@\(k)", "pass@\(k)", noAnswer: "no_answer@\(k)"),
        ]
        let modes = (k > 1 ? several : [single]).compactMap(\.self)
        return Section(name: "\(benchmark.name)/\(task.name)", modes: modes, allModes: modes)
    }

    /// NeMo-Skills has one name for what its own rules found right, and one for what a judge did.
    private static func column(_ grader: Grader) -> String { grader == .judge ? "judge_correct" : "symbolic_correct" }

    private static func row(
        _ name: String, items: Int, metrics: (String) -> MetricValue?, correctness: String, value: Value, noAnswer: Double
    ) -> Mode {
        var values: [(column: String, value: Value)] = [("num_entries", .count(items))]
        if let tokens = metrics("avg_tokens") { values.append(("avg_tokens", .count(Int(tokens.value)))) }
        if let seconds = metrics("gen_seconds") { values.append(("gen_seconds", .count(Int(seconds.value)))) }
        values.append((correctness, value))
        values.append(("no_answer", .percent(noAnswer * 100)))
        return Mode(name: name, values: values)
    }

    // MARK: - Groups

    /// Adds the average of benchmarks named `a.b` and `a.c` under `a`, where they have the same rows and columns.
    private mutating func addGroups(_ names: [String]) {
        var groups: [(name: String, members: [Section])] = []
        for name in names {
            guard let dot = name.firstIndex(of: "."), dot != name.startIndex, let section = sections.first(where: { $0.name == name })
            else { continue }
            let group = String(name[..<dot])
            if let index = groups.firstIndex(where: { $0.name == group }) {
                groups[index].members.append(section)
            } else {
                groups.append((group, [section]))
            }
        }
        for (name, members) in groups {
            guard !sections.contains(where: { $0.name == name }) else {
                notes.append("the benchmarks '\(name).…' have no average: a benchmark is named '\(name)'")
                continue
            }
            if let modes = Self.average(members.map(\.modes)), let all = Self.average(members.map(\.allModes)) {
                sections.append(Section(name: name, modes: modes, allModes: all))
            } else {
                notes.append("the benchmarks '\(name).…' have no average: their rows or columns differ")
            }
        }
    }

    private static func average(_ tables: [[Mode]]) -> [Mode]? {
        guard let first = tables.first else { return nil }
        let shape = first.map { [$0.name] + $0.values.map(\.column) }
        guard tables.allSatisfy({ $0.map { [$0.name] + $0.values.map(\.column) } == shape }) else { return nil }
        return first.indices.map { row in
            let values = first[row].values.indices.map { index -> (column: String, value: Value) in
                let column = first[row].values[index].column
                if column == "num_entries" { return ("num_benchmarks_in_group", .count(tables.count)) }
                return (column, mean(tables.map { $0[row].values[index].value }))
            }
            return Mode(name: first[row].name, values: values)
        }
    }

    private static func mean(_ values: [Value]) -> Value {
        var sum = 0.0
        var isCount = true
        for value in values {
            switch value {
            case .count(let count): sum += Double(count)
            case .percent(let percent, _):
                sum += percent
                isCount = false
            }
        }
        let mean = sum / Double(values.count)
        return isCount ? .count(Int(mean)) : .percent(mean)
    }
}
