import Datasets
import Evaluation
import EventLoop
import Generation
import JSON

/// The answers of an evaluation: those that are there, those that come, and their grades.
@LoopActor
final class EvaluationRun {
    /// One answer that is asked for.
    fileprivate struct Place: Hashable {
        var benchmark: Int
        var item: Int
        var sample: Int
    }

    /// An answer that something outside has to grade.
    struct Undecided {
        var benchmark: Int
        var item: Int
        var sample: Int
        var answer: String
        var expected: String
        fileprivate var tokens: Int?
        fileprivate var isTruncated: Bool

        fileprivate var place: Place { Place(benchmark: benchmark, item: item, sample: sample) }
    }

    private static let logIntervalNanoseconds: UInt64 = 10_000_000_000

    /// More than the items of a usual benchmark, so that samples do not share seeds.
    private static let sampleSeedDistance = 1_000_003

    private let request: EvaluateRequest
    private let items: [[BenchmarkItem]]
    private let model: String
    private let extensions: [JSONObject]
    private let ledger: AnswerLedger
    private let metrics: MetricsFile
    private var grades: [[[GradedSample?]]]
    /// What a grader outside said beside the score.
    private var details: [Place: JSONObject] = [:]
    private var pending: [Place] = []
    /// Answers whose grade is to come, in the order of their coming.
    private(set) var undecided: [Undecided] = []
    private var report: ProgressReport
    private var lastLog = SystemTime.monotonicNanoseconds()
    private var done = 0
    /// Answers in all.
    let totalCount: Int

    /// Takes over the answers that `ledger` holds already.
    init(
        request: EvaluateRequest, items: [[BenchmarkItem]], model: String, extensions: [JSONObject], ledger: AnswerLedger,
        metrics: MetricsFile
    ) throws {
        self.request = request
        self.items = items
        self.model = model
        self.extensions = extensions
        self.ledger = ledger
        self.metrics = metrics
        report = ProgressReport(metrics: metrics)
        grades = zip(request.benchmarks, items).map { benchmark, items in
            Array(repeating: Array(repeating: nil, count: benchmark.samples), count: items.count)
        }
        totalCount = zip(request.benchmarks, items).reduce(0) { $0 + $1.0.samples * $1.1.count }
        for benchmark in items.indices {
            for item in items[benchmark].indices {
                for sample in 0..<request.benchmarks[benchmark].samples {
                    let place = Place(benchmark: benchmark, item: item, sample: sample)
                    if let answer = try answer(at: place) { grade(answer, at: place) } else { pending.append(place) }
                }
            }
        }
        try report.update(done: done, total: totalCount)
    }

    /// Answers that are still to be asked for.
    var pendingCount: Int { pending.count }
    /// Asks for what is missing; each answer is on file before it counts.
    func ask(_ server: ModelServer) async throws {
        // Nothing is asked twice where another server took the place of one that died.
        pending.removeAll { ledger.contains(key($0)) }
        let asking = EvaluationAsking(
            count: pending.count,
            body: { [self] in JSONWriter().bytes(of: completionRequest(pending[$0]).json) },
            name: { [self] index in
                let place = pending[index]
                return "\(request.benchmarks[place.benchmark].name) item \(place.item) sample \(place.sample)"
            },
            take: { [self] index, answer in
                let place = pending[index]
                try ledger.append(answer, for: key(place))
                grade(answer, at: place)
                try tell()
            })
        do {
            try await asking.ask(server, requestTimeout: request.requestTimeout, patience: request.server?.patience)
        } catch {
            try ledger.sync()
            throw error
        }
        try ledger.sync()
    }

    /// Another seed for each item as well: with one for all, servers draw the same numbers for every item, and the noise of the
    /// items no longer averages out.
    private static func seed(_ base: Int, _ place: Place) -> Int { base &+ place.sample &* sampleSeedDistance &+ place.item }

    private func completionRequest(_ place: Place) -> CompletionRequest {
        let benchmark = request.benchmarks[place.benchmark]
        return CompletionRequest(
            model: model, messages: items[place.benchmark][place.item].messages, settings: benchmark.settings,
            seed: Self.seed(benchmark.seed, place),
            extensions: extensions[place.benchmark])
    }

    private func key(_ place: Place) -> AnswerKey {
        AnswerKey(
            benchmark: request.benchmarks[place.benchmark].name, item: place.item, sample: place.sample, request: completionRequest(place))
    }

    /// An answer that is there, in a file of generations or from a server.
    private func answer(at place: Place) throws -> Completion? {
        if let generations = request.benchmarks[place.benchmark].generations {
            return try generations.answer(item: place.item, sample: place.sample)
        }
        return try ledger.answer(for: key(place))
    }

    private func grade(_ answer: Completion, at place: Place) {
        defer { done += 1 }
        let isTruncated = answer.finishReason == "length"
        if let limit = request.benchmarks[place.benchmark].answerTokensMax, let tokens = answer.completionTokens, tokens > limit {
            grades[place.benchmark][place.item][place.sample] = GradedSample(
                answer: nil, score: 0, tokens: tokens, isTruncated: isTruncated)
            return
        }
        let verdict = request.benchmarks[place.benchmark].grading.rules.verdict(
            response: answer.content, expected: items[place.benchmark][place.item].expected)
        switch verdict {
        case .decided(let grade):
            grades[place.benchmark][place.item][place.sample] = GradedSample(
                answer: grade.answer, score: grade.score, tokens: answer.completionTokens, isTruncated: isTruncated)
        case .undecided(let text, let expected):
            undecided.append(
                Undecided(
                    benchmark: place.benchmark, item: place.item, sample: place.sample, answer: text, expected: expected,
                    tokens: answer.completionTokens, isTruncated: isTruncated))
        }
    }

    /// Writes the records of all benchmarks whose answers were there before, each with its grade as NeMo-Skills names it; `nil` where
    /// there are none.
    func writeGraded(to path: String) throws -> WrittenFile? {
        guard request.benchmarks.contains(where: { $0.generations != nil }) else { return nil }
        let writer = try DatasetWriter(path: path)
        for (index, benchmark) in request.benchmarks.enumerated() {
            try benchmark.generations?.write(to: writer) { item, sample in
                guard let graded = grades[index][item][sample] else { return [:] }
                // The name changed with the definitions of the metrics.
                let key = benchmark.grading.definition == .firstK ? "is_correct" : "symbolic_correct"
                var members: JSONObject = [
                    "predicted_answer": graded.answer.map { .string($0) } ?? .null, key: .bool(PairedComparison.isRight(graded.score)),
                ]
                let told = details[Place(benchmark: index, item: item, sample: sample)]?["judgements"]?.array ?? []
                if let judgement = told.first { members["judgement"] = judgement }
                return members
            }
        }
        return try writer.finish()
    }

    /// Takes the grade of an answer that was left undecided.
    func settle(_ answer: Undecided, score: Double, details: JSONObject) {
        grades[answer.benchmark][answer.item][answer.sample] = GradedSample(
            answer: answer.answer, score: score, tokens: answer.tokens, isTruncated: answer.isTruncated)
        if !details.isEmpty { self.details[answer.place] = details }
    }

    /// What a program reads that grades an answer.
    func question(of answer: Undecided) throws -> JSONValue {
        let item = items[answer.benchmark][answer.item]
        return [
            "benchmark": .string(request.benchmarks[answer.benchmark].name), "item": .int(Int64(answer.item)),
            "sample": .int(Int64(answer.sample)), "messages": .array(item.messages), "record": item.record ?? .null,
            "response": .string(try self.answer(at: answer.place)?.content ?? ""), "answer": .string(answer.answer),
            "expected": .string(answer.expected),
        ]
    }

    /// What a judge is asked about an answer.
    func judgeQuestion(of answer: Undecided) throws -> EvaluateJudge.Question {
        EvaluateJudge.Question(
            benchmark: request.benchmarks[answer.benchmark].name, item: answer.item, sample: answer.sample,
            problem: items[answer.benchmark][answer.item].problem, expected: answer.expected, answer: answer.answer,
            response: AnswerText.afterReasoning(try self.answer(at: answer.place)?.content ?? "") ?? "")
    }

    private func tell() throws {
        try report.update(done: done, total: totalCount) {
            request.benchmarks.indices.compactMap { index in
                accuracySoFar(index).map { (key: "evaluation/\(request.benchmarks[index].name)/accuracy", value: $0) }
            }
        }
        let now = SystemTime.monotonicNanoseconds()
        guard now - lastLog >= Self.logIntervalNanoseconds || done == totalCount else { return }
        lastLog = now
        WorkerLog.line("answered \(done) of \(totalCount)")
    }

    private func accuracySoFar(_ benchmark: Int) -> Double? {
        let scores = grades[benchmark].joined().compactMap { $0?.score }
        return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
    }

    /// The results of one benchmark, whose answers are written in order to `path`.
    func results(of index: Int, itemsPath path: String) throws -> EvaluationDocument.Benchmark {
        let benchmark = request.benchmarks[index]
        let graded = grades[index].map { $0.compactMap(\.self) }
        let definition = benchmark.grading.definition
        guard let computed = BenchmarkMetrics(items: graded, definition: definition, seed: UInt64(bitPattern: Int64(benchmark.seed))),
            computed.samples == benchmark.samples
        else {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .crashed, message: "answers of '\(benchmark.name)' are missing")
        }
        let scores = computed.itemScores
        let writer = try DatasetWriter(path: path)
        var spans: [(start: Int64, end: Int64)] = []
        for (item, samples) in graded.enumerated() {
            var entries: [JSONValue] = []
            for (sample, graded) in samples.enumerated() {
                guard let answer = try answer(at: Place(benchmark: index, item: item, sample: sample)) else { continue }
                spans.append((start: answer.startedAt, end: answer.endedAt))
                let place = Place(benchmark: index, item: item, sample: sample)
                entries.append(Self.entry(sample, answer, graded, details[place] ?? [:]))
            }
            var record: JSONObject = ["item": .int(Int64(item))]
            if !items[index][item].task.isEmpty { record["task"] = .string(items[index][item].task) }
            record["messages"] = .array(items[index][item].messages)
            record["expected"] = .string(items[index][item].expected)
            record["score"] = .double(scores[item])
            record["samples"] = .array(entries)
            try writer.append(line: JSONWriter().bytes(of: .object(record)))
        }
        _ = try writer.finish()
        var metrics = computed.all()
        metrics += graderMetrics(of: index)
        metrics.append((name: "gen_seconds", metric: MetricValue(value: Double(Self.union(spans)) / 1000)))
        // What answers from a file were made with is not known.
        var settings = benchmark.isAnswered ? [:] : benchmark.settings.json
        settings["seed"] = .int(Int64(benchmark.seed))
        if let limit = benchmark.answerTokensMax { settings["max_seq_len"] = .int(Int64(limit)) }
        let tasks = items[index].map(\.task)
        let hasTasks = tasks.contains { !$0.isEmpty }
        return EvaluationDocument.Benchmark(
            name: benchmark.name, dataset: benchmark.dataset, samples: benchmark.samples, grader: benchmark.grading.rules.grader,
            grading: benchmark.grading.options, definition: definition, settings: settings, metrics: metrics, byK: computed.byK,
            runs: computed.runs, tasks: hasTasks ? Self.results(computed, by: tasks) : [], itemTasks: hasTasks ? tasks : [],
            itemScores: scores, itemsPath: path)
    }

    /// The metrics of each task, in the order in which the tasks come; items that name none are in none.
    private static func results(_ computed: BenchmarkMetrics, by tasks: [String]) -> [EvaluationDocument.Task] {
        var names: [String: Int] = [:]
        for task in tasks where !task.isEmpty && names[task] == nil { names[task] = names.count }
        return names.sorted { $0.value < $1.value }.compactMap { name, _ in
            let count = tasks.count { $0 == name }
            return computed.subset { tasks[$0] == name }.map { .init(name: name, items: count, metrics: $0.all()) }
        }
    }

    /// How far a grader outside can be relied on: the share of its answers that it could not judge, and of pairs that both orders agree on.
    private func graderMetrics(of index: Int) -> [(name: String, metric: MetricValue)] {
        let asked = undecided.filter { $0.benchmark == index }
        let told = asked.map { details[$0.place] ?? [:] }
        var metrics: [(name: String, metric: MetricValue)] = []
        let errors = told.count { $0["grading_error"] != nil }
        if errors > 0 { metrics.append((name: "grading_errors", metric: MetricValue(value: Double(errors) / Double(asked.count)))) }
        let agreements = told.compactMap { $0["consistent"]?.bool }
        if !agreements.isEmpty {
            let share = Double(agreements.count { $0 }) / Double(agreements.count)
            metrics.append((name: "judge_consistency", metric: MetricValue(value: share)))
        }
        return metrics
    }

    private static func entry(_ sample: Int, _ answer: Completion, _ graded: GradedSample, _ details: JSONObject) -> JSONValue {
        var members: JSONObject = [
            "sample": .int(Int64(sample)), "response": .string(answer.content), "answer": graded.answer.map { .string($0) } ?? .null,
            "score": .double(graded.score), "finish_reason": .string(answer.finishReason),
            "seconds": .double(Double(answer.endedAt - answer.startedAt) / 1000),
        ]
        if let reasoning = answer.reasoning { members["reasoning"] = .string(reasoning) }
        if let tokens = answer.completionTokens { members["tokens"] = .int(Int64(tokens)) }
        for (key, value) in details { members[key] = value }
        return .object(members)
    }

    /// The time in which at least one request was under way, in milliseconds; pauses between attempts do not count.
    private static func union(_ spans: [(start: Int64, end: Int64)]) -> Int64 {
        var sum: Int64 = 0
        var reach = Int64.min
        for span in spans.sorted(by: { $0.start < $1.start }) where span.end > reach {
            sum += span.end - max(span.start, reach)
            reach = span.end
        }
        return sum
    }
}
