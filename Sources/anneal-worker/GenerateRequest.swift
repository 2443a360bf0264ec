import Datasets
import Domain
import Generation
import JSON

/// What a job of kind `generate` asks for.
struct GenerateRequest: Sendable {
    enum Server: Sendable {
        /// Servers to start, each with its share of the GPUs.
        case started([ServerCommand], startupTimeout: Duration)
        case remote([GenerationServer.Address], model: String?)
        /// The server of another job.
        case shared(SharedServer)
    }

    /// A consecutive part of the records.
    struct Chunk: Sendable {
        var index: Int
        var count: Int

        /// The records of the part; parts differ by one record at most.
        func range(of total: Int) -> Range<Int> {
            let (size, longer) = (total / count, total % count)
            let start = index * size + min(index, longer)
            return start..<(start + size + (index < longer ? 1 : 0))
        }
    }

    var model: String
    var server: Server
    var datasetPath: String
    var datasetSHA256: String
    /// Records used, from the first on; `nil` for all.
    var limit: Int?
    /// Seeds of the runs over the data; `nil` for one greedy run.
    var seeds: [Int]?
    /// The seed of the greedy run.
    var seed: Int
    /// Whether each record gets a seed of its own.
    var seedsByRecord: Bool
    var chunk: Chunk?
    var prompt: PromptRule
    /// Without the model, which the server may have to tell.
    var settings: GenerationSettings
    var reasoning: ReasoningSplit?
    var options: GenerationDriver.Options
    /// Records that may fail without failing the job.
    var failuresMax: Int
    /// What two attempts must have in common to go on with each other's records.
    var fingerprint: String
    /// What passes of different jobs must have in common to take over each other's records.
    var passFingerprint: String

    init(context: WorkerContext) throws {
        let spec = try RequestFields(context.job["spec"], at: JSONPointer())
        model = try context.input(at: "/model")?.path ?? spec.string("model") ?? ""
        let input = context.input(at: "/dataset")
        datasetPath = try input?.path ?? spec.required("dataset")
        guard datasetPath.hasPrefix("/") else { throw spec.failure("dataset", "'\(datasetPath)' was not resolved to a file") }
        datasetSHA256 = try input?.sha256 ?? ContentHash.sha256(ofFile: datasetPath)
        limit = try spec.int("limit", in: 1...Int.max)
        seeds = try Self.seeds(spec)
        seed = try spec.int("seed") ?? 0
        seedsByRecord = try spec.string("seed_by") == "record"
        chunk = try Self.chunk(spec)
        guard let api = GenerationSettings.API(rawValue: try spec.string("api") ?? "chat") else {
            throw spec.failure("api", "is neither chat nor completions")
        }
        prompt = try Self.prompt(spec, api: api)
        settings = try Self.settings(spec, api: api)
        reasoning = try Self.isSet(spec, "parse_reasoning") ? ReasoningSplit(endTag: spec.string("reasoning_end") ?? "</think>") : nil
        options = try Self.options(spec, settings: settings)
        failuresMax = try spec.int("max_failed", in: 0...Int.max) ?? 0
        server = try Self.server(try spec.fields("server"), model: model, context: context)
        let own = ["limit", "seeds", "samples", "starting_seed", "seed", "seed_by", "chunks", "chunk", "api", "prompt", "max_tokens"]
        let further = [
            "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "stop", "extra", "stream", "parse_reasoning", "reasoning_end",
        ]
        let what = spec.members.filter { (own + further).contains($0.key) }
        let form: JSONValue = ["dataset": .string(datasetSHA256), "model": .string(model), "spec": .object(what)]
        fingerprint = ContentHash.sha256(of: JSONWriter(sortsKeys: true).bytes(of: form))
        let known = try context.input(at: "/model")?.sha256 ?? spec.string("model") ?? ""
        passFingerprint = ContentHash.sha256(of: GenerationFingerprint.form(spec: spec.members, dataset: datasetSHA256, model: known))
    }

    private static func isSet(_ spec: RequestFields, _ key: String) throws(WorkerFailure) -> Bool {
        guard spec.has(key) else { return false }
        guard let flag = spec.members[key]?.bool else { throw spec.failure(key, "must be true or false") }
        return flag
    }

    /// `samples` counts seeds from `starting_seed` on; `seeds` names them, as a list or as a text (`0,3` or `0..4`, both ends in).
    private static func seeds(_ spec: RequestFields) throws(WorkerFailure) -> [Int]? {
        if let samples = try spec.int("samples", in: 1...10_000) {
            guard !spec.has("seeds") else { throw spec.failure("samples", "stands beside 'seeds'; give one of them") }
            let first = try spec.int("starting_seed") ?? 0
            return Array(first..<(first + samples))
        }
        guard spec.has("seeds") else { return nil }
        guard let seeds = spec.members["seeds"].flatMap(seeds(in:)), !seeds.isEmpty, Set(seeds).count == seeds.count else {
            throw spec.failure("seeds", "must be a list of different seeds, or a text such as '0,3' or '0..4'")
        }
        return seeds
    }

    private static func seeds(in value: JSONValue) -> [Int]? {
        if let text = value.string { return SeedList.parse(text) }
        let list = value.array ?? [value]
        let seeds = list.compactMap(\.int)
        return seeds.count == list.count ? seeds : nil
    }

    private static func chunk(_ spec: RequestFields) throws(WorkerFailure) -> Chunk? {
        guard let count = try spec.int("chunks", in: 1...100_000) else { return nil }
        guard let index = try spec.int("chunk", in: 0...(count - 1)) else { return nil }
        return Chunk(index: index, count: count)
    }

    private static func prompt(_ spec: RequestFields, api: GenerationSettings.API) throws(WorkerFailure) -> PromptRule {
        var rule = PromptRule(api: api)
        guard spec.has("prompt") else { return rule }
        if let name = spec.members["prompt"]?.string {
            guard let text = PromptRule.named[name] else {
                throw spec.failure(
                    "prompt", "there is no prompt '\(name)'; known: \(PromptRule.named.keys.sorted().joined(separator: ", "))")
            }
            rule.user = try template(text, spec, "prompt")
            return rule
        }
        let fields = try spec.fields("prompt")
        if let text = try fields.string("user") { rule.user = try template(text, fields, "user") }
        if let text = try fields.string("system") { rule.system = try template(text, fields, "system") }
        if fields.has("few_shot_examples") { rule.examples = try examples(fields.fields("few_shot_examples")) }
        return rule
    }

    /// As NeMo-Skills writes them: what stands before, the examples one after the other, and what stands after.
    private static func examples(_ fields: RequestFields) throws(WorkerFailure) -> String {
        let one = try template(fields.required("template"), fields, "template")
        var text = try fields.string("prefix") ?? ""
        for (index, example) in (fields.members["examples"]?.array ?? []).enumerated() {
            do throws(PromptTemplate.Problem) {
                text += try one.filled(from: example.object ?? [:])
            } catch {
                throw fields.failure("examples", "example \(index + 1): \(error)")
            }
        }
        return text + (try fields.string("suffix") ?? "")
    }

    private static func template(_ text: String, _ fields: RequestFields, _ key: String) throws(WorkerFailure) -> PromptTemplate {
        do throws(PromptTemplate.Problem) { return try PromptTemplate(text) } catch { throw fields.failure(key, error.description) }
    }

    private static func settings(_ spec: RequestFields, api: GenerationSettings.API) throws(WorkerFailure) -> GenerationSettings {
        _ = (try spec.double("temperature", in: 0...100), try spec.double("top_p", in: 0...1))
        let sampling = GenerationSampling(spec: spec.members)
        return GenerationSettings(
            api: api, model: "", maxTokens: try spec.int("max_tokens", in: 1...10_000_000), temperature: sampling.temperature,
            topP: sampling.topP, topK: try spec.int("top_k"),
            minP: try spec.double("min_p", in: 0...1), repetitionPenalty: try spec.double("repetition_penalty", in: 0...100),
            stop: try spec.strings("stop"), streams: try isSet(spec, "stream"),
            extra: spec.has("extra") ? try spec.fields("extra").members : [:])
    }

    private static func options(_ spec: RequestFields, settings: GenerationSettings) throws(WorkerFailure) -> GenerationDriver.Options {
        // A name or a mapping with 'group' is a concurrency group, which the daemon acts on.
        let isGroup = spec.members["concurrency"].map { $0.string != nil || $0.object != nil } ?? false
        var options = GenerationDriver.Options(concurrency: isGroup ? 512 : try spec.int("concurrency", in: 1...16_384) ?? 512)
        options.isAdaptive = spec.has("adaptive") ? try isSet(spec, "adaptive") : true
        options.api = settings.api
        options.streams = settings.streams
        if let timeout = try spec.duration("request_timeout") { options.requestTimeout = timeout }
        if let delay = try spec.duration("retry_delay") { options.firstDelay = delay }
        if let patience = try spec.duration("patience") { options.patience = patience }
        return options
    }

    private static func server(_ fields: RequestFields, model: String, context: WorkerContext) throws(WorkerFailure) -> Server {
        let replicas = try fields.int("replicas", in: 1...64) ?? 1
        let urls = try fields.strings("url")
        var one = fields.members
        if let first = urls.first { one["url"] = .string(first) }
        switch try EvaluateRequest.server(try RequestFields(.object(one), at: fields.pointer), model: model, context: context) {
        case .started(let command, let timeout):
            return .started(Self.replicas(of: command, count: replicas, context: context), startupTimeout: timeout)
        case .shared(let server): return .shared(server)
        case .remote(_, let name, let key):
            return .remote(urls.map { GenerationServer.Address(url: $0, apiKey: key) }, model: name)
        }
    }

    /// The same server several times; the GPUs of the job are dealt out in consecutive shares.
    private static func replicas(of command: ServerCommand, count: Int, context: WorkerContext) -> [ServerCommand] {
        guard count > 1 else { return [command] }
        let variable = "CUDA_VISIBLE_DEVICES"
        let devices = (context.variable(variable) ?? "").split(separator: ",").map(String.init)
        return (0..<count).map { index in
            var replica = command
            let share = Chunk(index: index, count: count).range(of: devices.count)
            guard !share.isEmpty else { return replica }
            replica.environment.removeAll { $0.name == variable }
            replica.environment.append((name: variable, value: devices[share].joined(separator: ",")))
            return replica
        }
    }
}
