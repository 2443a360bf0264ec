import Datasets
import JSON

/// What a job of kind `prepare` asks for.
struct PrepareRequest {
    enum Source {
        case files([String])
        case url(String, sha256: String?)
        case generator(TimesTenGenerator)
    }

    var source: Source
    var format: DatasetFormat?
    var steps: [PreparationStep]
    var isOriginal: Bool

    init(context: WorkerContext) throws(WorkerFailure) {
        let spec = try RequestFields(context.job["spec"], at: JSONPointer())
        source = try Self.source(try spec.fields("source"), context: context)
        switch try spec.string("format") {
        case nil, "auto": format = nil
        case let name?:
            guard let known = DatasetFormat(rawValue: name) else {
                throw spec.failure("format", "'\(name)' is none of auto, \(DatasetFormat.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            format = known
        }
        switch try spec.string("compat") {
        case nil: isOriginal = false
        case "seed": isOriginal = true
        case let other?: throw spec.failure("compat", "'\(other)' is not 'seed'")
        }
        steps = []
        guard spec.has("steps") else { return }
        guard let list = spec.members["steps"]?.array else { throw spec.failure("steps", "must be a list") }
        for (index, step) in list.enumerated() { steps.append(try Self.step(step, at: JSONPointer(["steps"]) / index)) }
    }

    private static func source(_ fields: RequestFields, context: WorkerContext) throws(WorkerFailure) -> Source {
        let given = ["file", "dataset", "url", "generator"].filter(fields.has)
        guard given.count == 1 else {
            throw .badRequest(fields.pointer.description, "needs exactly one of file, dataset, url, generator")
        }
        switch given[0] {
        case "file":
            let paths = try fields.strings("file")
            guard !paths.isEmpty else { throw fields.failure("file", "names no file") }
            return .files(paths)
        case "dataset":
            let name = try fields.required("dataset")
            let path = context.input(at: "/source/dataset")?.path ?? name
            guard path.hasPrefix("/") else { throw fields.failure("dataset", "'\(name)' was not resolved to a file") }
            return .files([path])
        case "url":
            return .url(try fields.required("url"), sha256: try fields.string("sha256"))
        default:
            return .generator(try generator(try fields.fields("generator")))
        }
    }

    private static func generator(_ fields: RequestFields) throws(WorkerFailure) -> TimesTenGenerator {
        let name = try fields.required("name")
        guard name == "times_ten" else { throw fields.failure("name", "there is no generator '\(name)'; there is times_ten") }
        guard let count = try fields.int("count", in: 1...TimesTenGenerator.countMax) else { throw fields.failure("count", "is missing") }
        var generator = TimesTenGenerator(count: count)
        generator.start = try fields.int("start") ?? 0
        generator.step = try fields.int("step") ?? 1
        generator.seed = try fields.int("seed")
        if let format = try fields.string("format") {
            guard let known = DatasetFormat(rawValue: format), known != .jcqa else {
                throw fields.failure("format", "'\(format)' is none of messages, input_output, preference")
            }
            generator.format = known
        }
        guard generator.isRepresentable else { throw fields.failure("start", "the numbers do not fit 64 bits") }
        return generator
    }

    private static func step(_ value: JSONValue, at pointer: JSONPointer) throws(WorkerFailure) -> PreparationStep {
        let fields = try RequestFields(value, at: pointer)
        guard fields.members.count == 1, let name = fields.members.keys.first else {
            throw .badRequest(pointer.description, "must be a map with one key, the step's name")
        }
        // A step without settings may be written without a value.
        let settings = fields.has(name) ? try fields.fields(name) : try RequestFields([:], at: pointer / name)
        let seed = try settings.int("seed") ?? 42
        switch name {
        case "jcqa_rebalance": return .rebalanceJCQA(seed: seed)
        case "jcqa_messages": return .convertJCQA
        case "to_messages": return .toMessages(system: try settings.string("system"))
        case "shuffle": return .shuffle(seed: seed)
        case "sample":
            guard let count = try settings.int("count", in: 1...Int.max) else { throw settings.failure("count", "is missing") }
            return .sample(count: count, seed: seed)
        case "split": return .split(DatasetSplit(parts: try parts(settings), seed: seed))
        default: throw fields.failure(name, "there is no such step")
        }
    }

    /// Integers are numbers of records, numbers with a point are shares of all.
    private static func parts(_ settings: RequestFields) throws(WorkerFailure) -> [DatasetSplit.Part] {
        var parts: [DatasetSplit.Part] = []
        for name in ["train", "validation", "test"] {
            switch settings.members[name] {
            case nil, .null?:
                if name != "test" { throw settings.failure(name, "is missing") }
            case .int(let count)? where count > 0: parts.append(.init(name: name, size: .count(Int(count))))
            case .double(let share)? where share > 0 && share <= 1: parts.append(.init(name: name, size: .fraction(share)))
            default: throw settings.failure(name, "must be a number of records or a share above 0 and at most 1")
            }
        }
        let counts = parts.count { if case .count = $0.size { true } else { false } }
        guard counts == 0 || counts == parts.count else {
            throw .badRequest(settings.pointer.description, "mixes shares and numbers of records; give all as shares or all as numbers")
        }
        let shares = parts.reduce(0.0) { sum, part in if case .fraction(let share) = part.size { sum + share } else { sum } }
        guard shares <= 1 + 1e-9 else { throw .badRequest(settings.pointer.description, "the shares add up to \(shares)") }
        return parts
    }
}
