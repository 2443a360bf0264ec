import Datasets
import Evaluation
import EventLoop
import Generation
import Glibc
import JSON

/// A job of kind `evaluate`.
struct EvaluateJob: Sendable {
    let context: WorkerContext

    /// Does the work; the result is the content of outputs.json and whether the gate was passed.
    func run() async throws -> (document: JSONObject, passed: Bool) {
        let request = try EvaluateRequest(context: context)
        let items = try request.benchmarks.map { try BenchmarkItem.load($0) }
        for (benchmark, items) in zip(request.benchmarks, items) {
            WorkerLog.line(
                "benchmark \(benchmark.name): \(items.count) items, \(benchmark.samples) sample\(benchmark.samples == 1 ? "" : "s") each, grader "
                    + benchmark.grading.rules.grader.rawValue)
        }
        return try await evaluate(request, items: items)
    }

    @LoopActor
    private func evaluate(_ request: EvaluateRequest, items: [[BenchmarkItem]]) async throws -> (document: JSONObject, passed: Bool) {
        let ledger = try AnswerLedger(path: context.outputFolder + "/answers.jsonl")
        let servers = EvaluateServer(context: context, concurrency: request.concurrency)
        let settling = EvaluateSettling(context: context, request: request, ledger: ledger, servers: servers)
        try await settling.check()
        let run: EvaluationRun
        switch request.server {
        case nil:
            run = try makeRun(
                request, items: items, model: request.model, extensions: request.benchmarks.map { _ in [:] }, ledger: ledger)
        case .started(let command, _)?:
            let extensions = request.benchmarks.map { benchmark in
                command.engine == .transformers ? SamplingExtension.members(model: command.model, settings: benchmark.settings) : [:]
            }
            run = try makeRun(request, items: items, model: command.requestName, extensions: extensions, ledger: ledger)
            if run.pendingCount > 0, let server = request.server {
                try await servers.withServer(of: server, name: "server") { try await run.ask($0) }
            }
        case .shared(let server)?:
            let extensions = request.benchmarks.map { benchmark in
                server.engine == .transformers ? SamplingExtension.members(model: request.model, settings: benchmark.settings) : [:]
            }
            run = try makeRun(request, items: items, model: server.model, extensions: extensions, ledger: ledger)
            if run.pendingCount > 0 { try await servers.withServer(of: .shared(server), name: "server") { try await run.ask($0) } }
        case .remote(let url, let model, let apiKey)?:
            let server = EvaluateRequest.Server.remote(url: url, model: model, apiKey: apiKey)
            run = try await servers.withServer(of: server, name: "server") { running in
                let name = if let model { model } else { try await servedModel(running, url: url, model: request.model) }
                let extensions = request.benchmarks.map { _ in JSONObject() }
                let run = try makeRun(request, items: items, model: name, extensions: extensions, ledger: ledger)
                try await run.ask(running)
                return run
            }
        }
        try await settling.settle(run)
        return try finish(run, request: request)
    }

    @LoopActor
    private func makeRun(
        _ request: EvaluateRequest, items: [[BenchmarkItem]], model: String, extensions: [JSONObject], ledger: AnswerLedger
    ) throws
        -> EvaluationRun
    {
        let run = try EvaluationRun(
            request: request, items: items, model: model, extensions: extensions, ledger: ledger, metrics: context.metrics)
        let there = run.totalCount - run.pendingCount
        if there > 0 { WorkerLog.line("\(there) of \(run.totalCount) answers are there already") }
        return run
    }

    /// The model that a running server answers with.
    @LoopActor
    private func servedModel(_ server: ModelServer, url: String, model: String) async throws -> String {
        let models = try await server.models()
        if models.contains(model) { return model }
        guard let first = models.first else { throw WorkerFailure.serverFailed("\(url) lists no model; name one with 'server.model'") }
        return first
    }

    /// Computes the metrics and writes all files.
    @LoopActor
    private func finish(_ run: EvaluationRun, request: EvaluateRequest) throws -> (document: JSONObject, passed: Bool) {
        let folder = context.outputFolder + "/items"
        guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw FileError(call: "mkdir", path: folder, code: errno) }
        var benchmarks: [EvaluationDocument.Benchmark] = []
        for (index, benchmark) in request.benchmarks.enumerated() {
            benchmarks.append(try run.results(of: index, itemsPath: "\(folder)/\(index + 1)-\(Self.fileName(benchmark.name)).jsonl"))
        }
        var document = EvaluationDocument(model: request.model, server: context.job["spec"]?["server"] ?? .null, benchmarks: benchmarks)
        if let baseline = request.baseline {
            let comparison = EvaluationComparison(base: baseline.document, candidate: document)
            document.comparison = [
                "base": .string(baseline.path), "benchmarks": comparison.json,
                "regressions": .array(comparison.regressions.map { .string($0) }),
            ]
            for name in comparison.regressions { WorkerLog.line("worse than the baseline beyond chance: \(name)") }
        }
        if !request.gate.rules.isEmpty {
            document.gate = try request.gate.outcome(benchmarks: benchmarks, baseline: request.baseline?.document)
        }
        for line in EvaluationReport(document).text.split(separator: "\n") { WorkerLog.line(String(line)) }
        let path = context.outputFolder + "/evaluation.json"
        try OutputsFile(path: path).write(document.json.object ?? [:])
        try context.metrics.append(
            step: run.totalCount,
            benchmarks.flatMap { benchmark in
                benchmark.metrics.map { (key: "evaluation/\(benchmark.name)/\($0.name)", value: $0.metric.value) }
            })
        log(document)
        let graded = try run.writeGraded(to: context.outputFolder + "/graded.jsonl")
        return (document: outputs(document, path: path, graded: graded), passed: document.gate?.passed ?? true)
    }

    private func outputs(_ document: EvaluationDocument, path: String, graded: WrittenFile?) -> JSONObject {
        var summary = JSONObject()
        for benchmark in document.benchmarks {
            for (name, metric) in benchmark.metrics { summary["\(benchmark.name)/\(name)"] = .double(metric.value) }
        }
        var made: JSONObject = ["evaluation": ["type": "evaluation", "path": .string(path)]]
        if let graded { made["graded"] = GenerateOutputs.output(graded) }
        var outputs: JSONObject = ["outputs": .object(made), "summary": .object(summary)]
        if let gate = document.gate { outputs["gate"] = gate.json }
        return outputs
    }

    private func log(_ document: EvaluationDocument) {
        for check in document.gate?.checks ?? [] {
            let value = check.value.map(Self.rounded) ?? "not measured"
            WorkerLog.line("gate \(check.metric) \(check.condition): \(value), \(check.passed ? "passed" : "missed")")
        }
    }

    private static func rounded(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }

    /// A name with nothing in it that a path would take for more than a name.
    private static func fileName(_ name: String) -> String {
        String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "_" }.prefix(80))
    }
}
