import JSON

/// What the installed trainer takes as `args` of one training method, as `python -m anneal_trainer.arguments` lists it.
public struct TrainArguments: Sendable {
    /// The configuration that the arguments belong to, with its version: `SFTConfig of TRL 1.16.0`.
    public var config: String
    /// Names, in the configuration's order, with the sorts of values that each takes: `int`, `float`, `bool`, `str`, `dict`, `list`,
    /// `null`, or `any`.
    private var sorts: [(name: String, sorts: [String])]
    private var positions: [String: Int]
    /// Arguments that Anneal sets, with the key of a job to use instead; empty where there is none.
    private var reserved: [String: String]

    /// Reads `{"config": …, "arguments": {name: [sort, …]}, "reserved": {name: key}}`; `nil` for anything else.
    public init?(listing: JSONValue) {
        guard let config = listing["config"]?.string, let arguments = listing["arguments"]?.object,
            let reserved = listing["reserved"]?.object
        else { return nil }
        self.config = config
        sorts = arguments.map { ($0.key, ($0.value.array ?? []).compactMap(\.string)) }
        positions = Dictionary(sorts.enumerated().map { ($0.element.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
        self.reserved = Dictionary(reserved.map { ($0.key, $0.value.string ?? "") }, uniquingKeysWith: { first, _ in first })
    }

    /// What is wrong with an argument; `nil` where nothing is.
    func problem(with name: String, _ value: JSONValue) -> (code: SpecError.Code, detail: String)? {
        if let key = reserved[name] {
            return (.conflict, "'\(name)' is set by Anneal\(key.isEmpty ? " itself; leave it out" : "; use '\(key)'")")
        }
        guard let position = positions[name] else {
            return (.unknownKey, "'\(name)' is no argument of \(config)\(suggestion(for: name))")
        }
        let taken = sorts[position].sorts
        guard Self.fits(value, taken) else {
            return (.wrongType, "must be \(taken.map(Self.words).joined(separator: " or ")), not \(value.nounPhrase)")
        }
        return nil
    }

    /// Names that may be given come first; one that Anneal sets is told with the key that stands for it.
    private func suggestion(for name: String) -> String {
        let open = Spelling.suggestion(for: name, among: sorts.map(\.name))
        guard open.isEmpty, let near = Spelling.nearest(to: name, among: reserved.keys.sorted()), let key = reserved[near] else {
            return open
        }
        return " ('\(near)' is set by Anneal\(key.isEmpty ? "" : "; use '\(key)'"))"
    }

    /// True where a value is of one of the sorts; a whole number is also a float.
    private static func fits(_ value: JSONValue, _ sorts: [String]) -> Bool {
        let own: [String] =
            switch value {
            case .null: ["null"]
            case .bool: ["bool"]
            case .int, .bigInteger: ["int", "float"]
            case .double: ["float"]
            case .string: ["str"]
            case .array: ["list"]
            case .object: ["dict"]
            }
        return sorts.contains { $0 == "any" || own.contains($0) }
    }

    /// A sort of Python's as specs call it.
    private static func words(_ sort: String) -> String {
        switch sort {
        case "int": "an integer"
        case "float": "a number"
        case "bool": "true or false"
        case "str": "a text"
        case "dict": "a mapping"
        case "list": "a list"
        default: sort
        }
    }
}
