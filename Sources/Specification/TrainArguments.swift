import JSON

/// The further arguments of a training method, as the installed trainer lists them (`python -m anneal_trainer.arguments METHOD`).
public struct TrainArguments: Sendable, Equatable {
    /// Whose arguments they are, such as `SFTConfig of TRL 1.16.0`.
    public var config: String
    /// The sorts of values that each takes: int, float, bool, str, list, dict, null or any.
    public var arguments: [String: [String]]
    /// Those that follow from keys of the job, with the key; empty for those that no key changes.
    public var reserved: [String: String]

    /// Reads a listing; `nil` for what is none.
    public init?(listing: JSONValue) {
        guard let config = listing["config"]?.string, let arguments = listing["arguments"]?.object,
            let reserved = listing["reserved"]?.object
        else { return nil }
        self.config = config
        self.arguments = Dictionary(uniqueKeysWithValues: arguments.map { ($0.key, $0.value.array?.compactMap(\.string) ?? []) })
        self.reserved = Dictionary(uniqueKeysWithValues: reserved.map { ($0.key, $0.value.string ?? "") })
    }

    /// What is wrong with an argument, and with which error it is told; `nil` where it can be passed on.
    func problem(_ name: String, _ value: JSONValue) -> (SpecError.Code, String)? {
        if let key = reserved[name] { return (.conflict, "is set by Anneal" + (key.isEmpty ? " itself" : "; use \(key)")) }
        guard let sorts = arguments[name] else {
            return (.unknownKey, "is no argument of \(config)\(Spelling.suggestion(for: name, among: arguments.keys.sorted()))")
        }
        // A whole number is also a fitting float.
        let fitting = Self.sorts(of: value)
        guard !sorts.contains("any"), fitting.isDisjoint(with: sorts) else { return nil }
        return (.wrongType, "must be \(sorts.joined(separator: " or "))")
    }

    private static func sorts(of value: JSONValue) -> Set<String> {
        switch value {
        case .null: ["null"]
        case .bool: ["bool"]
        case .int, .bigInteger: ["int", "float"]
        case .double: ["float"]
        case .string: ["str"]
        case .array: ["list"]
        case .object: ["dict"]
        }
    }
}

extension KindRules {
    /// Holds the further arguments of a training to what the installed trainer takes.
    func checkTrainArguments() {
        guard let further = body["args"]?.object, !further.isEmpty, body["engine"]?.string ?? "trl" == "trl",
            let method = body["method"]?.string, let known = check.world.context.trainArguments(method)
        else { return }
        for (name, value) in further {
            if let (code, detail) = known.problem(name, value) { check.fail(code, JSONPointer(["args", name]), detail) }
        }
    }
}
