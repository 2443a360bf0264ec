import Datasets
import JSON

/// What a job of kind `prepare` asks for.
struct PrepareRequest {
    enum Source {
        case files([String])
        case url(String, sha256: String?)
        case generator(TimesTenGenerator)
        case interleave(Interleaving)
    }

    var source: Source
    var format: DatasetFormat?
    var steps: [PreparationStep]
    var isOriginal: Bool

    init(context: WorkerContext) throws(WorkerFailure) {
        let spec = try RequestFields(context.job["spec"], at: JSONPointer())
        let inputs = { (pointer: JSONPointer) in context.input(at: pointer.description)?.path }
        source = try Self.source(try spec.fields("source"), inputs)
        format = try spec.word("format", among: ["auto"] + DatasetFormat.allCases.map(\.rawValue)).flatMap(DatasetFormat.init(rawValue:))
        isOriginal = try spec.word("compat", among: ["seed"]) != nil
        steps = []
        guard spec.has("steps") else { return }
        guard let list = spec.members["steps"]?.array else { throw spec.failure("steps", "must be a list") }
        for (index, step) in list.enumerated() {
            steps += try PrepareStepReader(inputs: inputs).steps(step, at: JSONPointer(["steps"]) / index)
        }
    }

    private static func source(_ fields: RequestFields, _ inputs: (JSONPointer) -> String?) throws(WorkerFailure) -> Source {
        let given = ["file", "dataset", "url", "generator", "interleave"].filter(fields.has)
        guard given.count == 1 else {
            throw .badRequest(fields.pointer.description, "needs exactly one of file, dataset, url, generator, interleave")
        }
        switch given[0] {
        case "file", "dataset": return .files(try paths(fields, inputs))
        case "url": return .url(try fields.required("url"), sha256: try fields.string("sha256"))
        case "generator": return .generator(try generator(try fields.fields("generator")))
        default: return .interleave(try interleaving(try fields.fields("interleave"), inputs))
        }
    }

    /// The files behind `file` or `dataset`.
    private static func paths(_ fields: RequestFields, _ inputs: (JSONPointer) -> String?) throws(WorkerFailure) -> [String] {
        if fields.has("dataset") { return [try fields.dataset("dataset", inputs)] }
        let paths = try fields.strings("file")
        guard !paths.isEmpty else { throw fields.failure("file", "names no file") }
        return paths
    }

    private static func interleaving(_ fields: RequestFields, _ inputs: (JSONPointer) -> String?) throws(WorkerFailure) -> Interleaving {
        guard let list = fields.members["sources"]?.array, !list.isEmpty else {
            throw fields.failure("sources", "must be a list of sources")
        }
        var parts: [Interleaving.Part] = []
        for (index, value) in list.enumerated() {
            let part = try RequestFields(value, at: fields.pointer / "sources" / index)
            guard part.has("file") != part.has("dataset") else {
                throw .badRequest(part.pointer.description, "needs exactly one of file, dataset")
            }
            let weight = try part.double("weight", in: 1e-9...1e9) ?? 1
            parts.append(Interleaving.Part(paths: try paths(part, inputs), weight: weight))
        }
        let stop = try fields.word("stop", among: Interleaving.Stop.allCases.map(\.rawValue)).flatMap(Interleaving.Stop.init(rawValue:))
        return Interleaving(parts: parts, stop: stop ?? .all, seed: try fields.int("seed") ?? 42)
    }

    private static func generator(_ fields: RequestFields) throws(WorkerFailure) -> TimesTenGenerator {
        let name = try fields.required("name")
        guard name == "times_ten" else { throw fields.failure("name", "there is no generator '\(name)'; there is times_ten") }
        guard let count = try fields.int("count", in: 1...TimesTenGenerator.countMax) else { throw fields.failure("count", "is missing") }
        var generator = TimesTenGenerator(count: count)
        generator.start = try fields.int("start") ?? 0
        generator.step = try fields.int("step") ?? 1
        generator.seed = try fields.int("seed")
        if let format = try fields.word("format", among: ["messages", "input_output", "preference"]) {
            generator.format = DatasetFormat(rawValue: format) ?? .messages
        }
        guard generator.isRepresentable else { throw fields.failure("start", "the numbers do not fit 64 bits") }
        return generator
    }
}

extension RequestFields {
    /// One of some words.
    func word(_ key: String, among words: [String]) throws(WorkerFailure) -> String? {
        guard let text = try string(key) else { return nil }
        guard words.contains(text) else { throw failure(key, "'\(text)' is none of \(words.joined(separator: ", "))") }
        return text
    }

    func bool(_ key: String) throws(WorkerFailure) -> Bool? {
        guard has(key) else { return nil }
        guard let flag = members[key]?.bool else { throw failure(key, "must be true or false") }
        return flag
    }

    /// The file of a dataset: resolved by the daemon, or a path.
    func dataset(_ key: String, _ inputs: (JSONPointer) -> String?) throws(WorkerFailure) -> String {
        let name = try required(key)
        let path = inputs(pointer / key) ?? name
        guard path.hasPrefix("/") else { throw failure(key, "'\(name)' was not resolved to a file") }
        return path
    }

    /// Objects of a list.
    func list(_ key: String) throws(WorkerFailure) -> [RequestFields] {
        guard has(key) else { return [] }
        guard let elements = members[key]?.array else { throw failure(key, "must be a list") }
        var list: [RequestFields] = []
        for (index, element) in elements.enumerated() { list.append(try RequestFields(element, at: pointer / key / index)) }
        return list
    }
}
