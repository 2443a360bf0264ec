import Datasets
import Domain
import Evaluation
import Generation
import JSON

/// What a job of kind `evaluate` asks for.
struct EvaluateRequest: Sendable {
    enum Server: Sendable {
        case started(ServerCommand, startupTimeout: Duration)
        case remote(url: String, model: String?, apiKey: String?)
        /// The server of another job.
        case shared(SharedServer)

        /// How long it may be busy or unreachable; `nil` for as long as is usual. Another job's server that died comes back elsewhere, and a
        /// new attempt is told where.
        var patience: Duration? {
            if case .shared = self { .seconds(10) } else { nil }
        }
    }

    struct Benchmark: Sendable {
        var name: String
        var dataset: EvaluationDocument.Dataset
        var samples: Int
        var grading: EvaluateGrading
        var settings: SamplingSettings
        /// What the seeds of all items and samples are counted from.
        var seed: Int
        /// Items used, from the first on; `nil` for all.
        var limit: Int?
        /// Put before the messages of items that have no system message of their own.
        var system: String?
        /// What is asked instead of the record's own question, with its members filled in.
        var prompt: String?
        /// The member of a record that holds the expected answer; `nil` for the usual ones.
        var expectedField: String?
        /// The member of a record that names its task.
        var taskField: String
        /// Whether the records hold the answers.
        var isAnswered = false
        /// Longer answers, in tokens, count as wrong.
        var answerTokensMax: Int?
        /// Answers that are graded without asking anybody.
        var generations: GenerationAnswers?
    }

    var model: String
    /// `nil` where all answers are there already.
    var server: Server?
    var benchmarks: [Benchmark]
    /// Requests at once.
    var concurrency: Int
    var requestTimeout: Duration
    /// The evaluation to compare with, and where it lies.
    var baseline: (document: EvaluationDocument, path: String)?
    var gate: Gate

    init(context: WorkerContext) throws {
        let spec = try RequestFields(context.job["spec"], at: JSONPointer())
        model = try context.input(at: "/model")?.path ?? spec.string("model") ?? ""
        server = try spec.has("server") ? Self.server(try spec.fields("server"), model: model, context: context) : nil
        // A name or a mapping is a concurrency group, which the daemon acts on.
        let isGroup = spec.members["concurrency"].map { $0.string != nil || $0.object != nil } ?? false
        var most = isGroup ? nil : try spec.int("concurrency", in: 1...4096)
        // transformers' server takes few requests at once; others are sent as many as they can take.
        if case .started(let command, _)? = server, command.engine == .transformers { most = most ?? 16 }
        concurrency = most ?? 256
        requestTimeout = try spec.duration("request_timeout") ?? .seconds(600)
        guard let list = spec.members["benchmarks"]?.array, !list.isEmpty else {
            throw spec.failure("benchmarks", "must be a list with at least one benchmark")
        }
        benchmarks = []
        for (index, entry) in list.enumerated() {
            let fields = try RequestFields(entry, at: JSONPointer(["benchmarks"]) / index)
            var benchmark = try Self.benchmark(fields, context: context)
            if benchmarks.contains(where: { $0.name == benchmark.name }) {
                if fields.has("name") { throw fields.failure("name", "another benchmark has this name too") }
                benchmark.name += "-\(index + 1)"
            }
            if benchmark.generations == nil, server == nil { throw spec.failure("server", "is missing, and 'dataset' asks a model") }
            benchmarks.append(benchmark)
        }
        if model.isEmpty, let made = benchmarks.first(where: { $0.generations != nil }) { model = made.name }
        baseline = try Self.baseline(spec, context: context)
        gate = try spec.has("gate") ? Gate(json: spec.members["gate"] ?? .null) : Gate(rules: [])
        let plans = benchmarks.map { Gate.Plan(name: $0.name, samples: $0.samples, datasetSHA256: $0.dataset.sha256) }
        try gate.check(plans: plans, baseline: baseline?.document)
    }

    /// What `server` asks for; jobs of kind `generate` read theirs in the same way.
    static func server(_ fields: RequestFields, model: String, context: WorkerContext) throws(WorkerFailure) -> Server {
        if let url = try fields.string("url") {
            guard !fields.has("engine") else { throw .badRequest(fields.pointer.description, "has both 'url' and 'engine'") }
            var apiKey: String?
            if let name = try fields.string("api_key_env") {
                guard let key = context.variable(name) else { throw fields.failure("api_key_env", "the environment has no \(name)") }
                apiKey = key
            }
            return .remote(url: url, model: try fields.string("model"), apiKey: apiKey)
        }
        if let job = try fields.string("job") { return .shared(try SharedServer(job, at: fields.pointer / "job", context: context)) }
        let name = try fields.string("engine") ?? ServerEngine.transformers.rawValue
        guard let engine = ServerEngine(rawValue: name) else {
            throw fields.failure("engine", "'\(name)' is none of \(ServerEngine.list)")
        }
        guard !model.isEmpty else { throw .badRequest("/model", "is missing") }
        let python = context.variable("ANNEAL_PYTHON")
        let flags = fields.has("args") ? try fields.fields("args").members : [:]
        let own = fields.has("env") ? try fields.fields("env").members : [:]
        let usesGPU = context.job["gpus"]?.array?.isEmpty == false
        let command = ServerCommand(
            engine: engine, python: python, model: model, flags: flags, usesGPU: usesGPU,
            environment: serverEnvironment(context, own: own, hasLocalModel: model.hasPrefix("/")))
        return .started(command, startupTimeout: try fields.duration("startup_timeout") ?? .seconds(120))
    }

    /// The worker's environment without its credentials, and with what the spec adds.
    private static func serverEnvironment(_ context: WorkerContext, own: JSONObject, hasLocalModel: Bool) -> [(name: String, value: String)]
    {
        var environment = context.environmentWithoutCredentials.filter { own[$0.name] == nil }
        // A model on disk needs nothing from a hub; without this each start would wait for one that cannot be reached.
        if hasLocalModel, own["HF_HUB_OFFLINE"] == nil, context.variable("HF_HUB_OFFLINE") == nil {
            environment.append((name: "HF_HUB_OFFLINE", value: "1"))
        }
        environment.append((name: "PYTHONUNBUFFERED", value: "1"))
        for (name, value) in own { environment.append((name: name, value: value.string ?? value.text())) }
        return environment
    }

    private static func benchmark(_ fields: RequestFields, context: WorkerContext) throws -> Benchmark {
        let (inputs, paths) = try data(fields, context: context)
        let (input, path) = (inputs[0], paths[0])
        let samples = try fields.int("samples", in: 1...1024) ?? 1
        let temperature = try fields.double("temperature", in: 0...100) ?? (samples == 1 ? 0 : 0.7)
        let topP = try fields.double("top_p", in: 0...1) ?? (temperature > 0 ? 0.95 : nil)
        let settings = SamplingSettings(
            maxTokens: try fields.int("max_tokens", in: 1...10_000_000) ?? 256, temperature: temperature, topP: topP,
            stop: try fields.strings("stop"))
        let sha256 = try input?.sha256 ?? ContentHash.sha256(ofFile: path)
        var benchmark = Benchmark(
            name: try fields.string("name") ?? defaultName(reference: input?.reference, path: path),
            dataset: .init(id: input?.id, sha256: sha256, path: path), samples: samples,
            grading: try EvaluateGrading(fields, context: context), settings: settings, seed: try fields.int("seed") ?? 0,
            limit: try fields.int("limit", in: 1...Int.max), system: try fields.string("system"), prompt: try fields.string("prompt"),
            expectedField: try fields.string("expected"), taskField: try fields.string("task") ?? "task",
            answerTokensMax: try fields.int("max_seq_len", in: 1...Int.max))
        if fields.has("generations") {
            benchmark.isAnswered = true
            let answers = try GenerationAnswers(
                paths: paths, samples: samples, answerKey: try fields.string("response") ?? "generation", benchmark: benchmark)
            benchmark.samples = answers.samples
            benchmark.dataset.sha256 = answers.questionsHash
            benchmark.generations = answers
        }
        return benchmark
    }

    /// The files that a benchmark reads: one of questions, or those of `generations`.
    private static func data(_ fields: RequestFields, context: WorkerContext) throws -> (inputs: [WorkerContext.Input?], paths: [String]) {
        let key = fields.has("generations") ? "generations" : "dataset"
        let named = try fields.strings(key)
        guard !named.isEmpty else { throw fields.failure(key, "is missing") }
        let pointer = fields.pointer / key
        let inputs = named.indices.map {
            context.input(at: (named.count == 1 && fields.members[key]?.array == nil ? pointer : pointer / $0).description)
        }
        let paths = zip(inputs, named).map { $0?.path ?? $1 }
        for path in paths where !path.hasPrefix("/") { throw fields.failure(key, "'\(path)' was not resolved to a file") }
        return (inputs, paths)
    }

    /// What the spec calls the data, or the file's name without its ending.
    private static func defaultName(reference: String?, path: String) -> String {
        if let reference, !reference.isEmpty { return reference }
        let file = path.split(separator: "/").last.map(String.init) ?? path
        return file.hasSuffix(".jsonl") ? String(file.dropLast(6)) : file
    }

    private static func baseline(_ spec: RequestFields, context: WorkerContext) throws -> (document: EvaluationDocument, path: String)? {
        guard spec.has("compare_to") else { return nil }
        let path = try context.input(at: "/compare_to")?.path ?? spec.required("compare_to")
        let json = try WorkerContext.readDocument(path)
        do throws(EvaluationDocument.FormatError) {
            return (document: try EvaluationDocument(json: json), path: path)
        } catch {
            throw spec.failure("compare_to", "\(path): \(error)")
        }
    }
}
