import Datasets
import Evaluation
import EventLoop
import Generation
import JSON

/// The answers of an evaluation: those that are there, those that come, and their grades.
@LoopActor
final class EvaluationRun {
    /// One answer that is asked for.
    private struct Place {
        var benchmark: Int
        var item: Int
        var sample: Int
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
    private var pending: [Place] = []
    private var report: ProgressReport
    private var lastLog = SystemTime.monotonicNanoseconds()
    private var done = 0
    private let total: Int

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
        total = zip(request.benchmarks, items).reduce(0) { $0 + $1.0.samples * $1.1.count }
        for benchmark in items.indices {
            for item in items[benchmark].indices {
                for sample in 0..<request.benchmarks[benchmark].samples {
                    let place = Place(benchmark: benchmark, item: item, sample: sample)
                    if let answer = try ledger.answer(for: key(place)) { grade(answer, at: place) } else { pending.append(place) }
                }
            }
        }
        try report.update(done: done, total: total)
    }

    /// Answers that are still to be asked for.
    var pendingCount: Int { pending.count }
    /// Answers in all.
    var totalCount: Int { total }

    /// Asks for what is missing; each answer is on file before it counts.
    func ask(_ client: CompletionClient) async throws {
        try await CompletionDriver.run(
            count: pending.count, concurrency: request.concurrency, client: client,
            request: { [self] index in
                let place = pending[index]
                return (
                    request: completionRequest(place),
                    name: "\(request.benchmarks[place.benchmark].name) item \(place.item) sample \(place.sample)"
                )
            },
            onAnswer: { [self] index, answer in
                let place = pending[index]
                try ledger.append(answer, for: key(place))
                grade(answer, at: place)
                try tell()
            })
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

    private func grade(_ answer: Completion, at place: Place) {
        let grade = request.benchmarks[place.benchmark].grader.grade(
            response: answer.content, expected: items[place.benchmark][place.item].expected)
        grades[place.benchmark][place.item][place.sample] = GradedSample(
            answer: grade.answer, score: grade.isCorrect ? 1 : 0, tokens: answer.completionTokens,
            isTruncated: answer.finishReason == "length")
        done += 1
    }

    private func tell() throws {
        try report.update(done: done, total: total) {
            request.benchmarks.indices.compactMap { index in
                accuracySoFar(index).map { (key: "evaluation/\(request.benchmarks[index].name)/accuracy", value: $0) }
            }
        }
        let now = SystemTime.monotonicNanoseconds()
        guard now - lastLog >= Self.logIntervalNanoseconds || done == total else { return }
        lastLog = now
        WorkerLog.line("answered \(done) of \(total)")
    }

    private func accuracySoFar(_ benchmark: Int) -> Double? {
        let scores = grades[benchmark].joined().compactMap { $0?.score }
        return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
    }

    /// The results of one benchmark, whose answers are written in order to `path`.
    func results(of index: Int, itemsPath path: String) throws -> EvaluationDocument.Benchmark {
        let benchmark = request.benchmarks[index]
        let graded = grades[index].map { $0.compactMap(\.self) }
        guard let computed = BenchmarkMetrics(items: graded), computed.samples == benchmark.samples else {
            throw WorkerFailure(
                exitCode: WorkerFailure.ExitCode.failed, reason: .crashed, message: "answers of '\(benchmark.name)' are missing")
        }
        let writer = try DatasetWriter(path: path)
        var spans: [(start: Int64, end: Int64)] = []
        for (item, samples) in graded.enumerated() {
            var entries: [JSONValue] = []
            for (sample, graded) in samples.enumerated() {
                guard let answer = try ledger.answer(for: key(Place(benchmark: index, item: item, sample: sample))) else { continue }
                spans.append((start: answer.startedAt, end: answer.endedAt))
                entries.append(Self.entry(sample, answer, graded))
            }
            let record: JSONValue = [
                "item": .int(Int64(item)), "messages": .array(items[index][item].messages),
                "expected": .string(items[index][item].expected),
                "score": .double(computed.itemScores[item]), "samples": .array(entries),
            ]
            try writer.append(line: JSONWriter().bytes(of: record))
        }
        _ = try writer.finish()
        var metrics = computed.all()
        metrics.append((name: "gen_seconds", metric: MetricValue(value: Double(Self.union(spans)) / 1000)))
        var settings = benchmark.settings.json
        settings["seed"] = .int(Int64(benchmark.seed))
        return EvaluationDocument.Benchmark(
            name: benchmark.name, dataset: benchmark.dataset, samples: benchmark.samples, grader: benchmark.grader, settings: settings,
            metrics: metrics, itemScores: computed.itemScores, itemsPath: path)
    }

    private static func entry(_ sample: Int, _ answer: Completion, _ graded: GradedSample) -> JSONValue {
        var members: JSONObject = [
            "sample": .int(Int64(sample)), "response": .string(answer.content), "answer": graded.answer.map { .string($0) } ?? .null,
            "score": .double(graded.score), "finish_reason": .string(answer.finishReason),
            "seconds": .double(Double(answer.endedAt - answer.startedAt) / 1000),
        ]
        if let reasoning = answer.reasoning { members["reasoning"] = .string(reasoning) }
        if let tokens = answer.completionTokens { members["tokens"] = .int(Int64(tokens)) }
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
