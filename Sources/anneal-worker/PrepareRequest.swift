import Datasets
import JSON

/// What a job of kind `prepare` asks for.
struct PrepareRequest {
    enum Source {
        case files([String])
        case url(String, sha256: String?, bytesMax: Int64?)
        case generator(ToyGenerator)
        case interleave(Interleaving)
    }

    var source: Source
    var format: DatasetFormat?
    var steps: [PreparationStep]
    var isOriginal: Bool
    var badRecords: BadRecordRule
    /// What is made of the finished records.
    var ending: Ending?

    /// The last step, where it is none that works on records.
    enum Ending {
        case pack(PreparePacking)
        case shards(PrepareShards)
    }

    init(context: WorkerContext) throws(WorkerFailure) {
        let spec = try RequestFields(context.job["spec"], at: JSONPointer())
        let inputs = { (pointer: JSONPointer) in context.input(at: pointer.description)?.path }
        source = try Self.source(try spec.fields("source"), inputs)
        format = try spec.word("format", among: ["auto"] + DatasetFormat.allCases.map(\.rawValue)).flatMap(DatasetFormat.init(rawValue:))
        isOriginal = try spec.word("compat", among: ["seed"]) != nil
        badRecords = .automatic
        switch try spec.word("on_bad_record", among: ["fail", "drop"]) {
        case "drop"?: badRecords = .drop(max: try spec.int("bad_records_max", in: 0...Int.max) ?? Self.badRecordsMax)
        case "fail"?: badRecords = .fail
        default: break
        }
        steps = []
        guard spec.has("steps") else { return }
        guard let list = spec.members["steps"]?.array else { throw spec.failure("steps", "must be a list") }
        for (index, step) in list.enumerated() {
            let place = JSONPointer(["steps"]) / index
            if let ending = try Self.ending(step, at: place, inputs) {
                guard index == list.count - 1 else { throw .badRequest(place.description, "must be the last step") }
                self.ending = ending
            } else {
                steps += try PrepareStepReader(inputs: inputs).steps(step, at: place)
            }
        }
        // Conversations about images have none of the formats of training records.
        if case .shards = ending, format == nil { format = .records }
    }

    /// Bad records that may be dropped where the spec does not say.
    static let badRecordsMax = 1000

    private static func ending(
        _ step: JSONValue, at place: JSONPointer, _ inputs: (JSONPointer) -> String?
    ) throws(WorkerFailure) -> Ending? {
        guard let members = step.object, members.count == 1 else { return nil }
        if members["pack"] != nil { return .pack(try PreparePacking(try RequestFields(step, at: place).fields("pack"), inputs)) }
        guard members["webdataset"] != nil else { return nil }
        return .shards(try PrepareShards(try RequestFields(step, at: place).fields("webdataset"), inputs))
    }

    private static func source(_ fields: RequestFields, _ inputs: (JSONPointer) -> String?) throws(WorkerFailure) -> Source {
        let given = ["file", "dataset", "url", "generator", "interleave"].filter(fields.has)
        guard given.count == 1 else {
            throw .badRequest(fields.pointer.description, "needs exactly one of file, dataset, url, generator, interleave")
        }
        switch given[0] {
        case "file", "dataset": return .files(try paths(fields, inputs))
        case "url":
            let bytesMax = try fields.int("bytes_max", in: 1...Int.max)
            return .url(try fields.required("url"), sha256: try fields.string("sha256"), bytesMax: bytesMax.map(Int64.init))
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
