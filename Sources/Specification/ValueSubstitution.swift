import JSON

/// Puts values in the place of `${matrix.key}`, for one combination of a matrix, or of `${vars.name}`.
struct ValueSubstitution {
    /// What the references name: `matrix` or `vars`.
    enum Scope: Equatable {
        case matrix
        case vars

        var name: String { self == .matrix ? "matrix" : "vars" }
    }

    let scope: Scope
    let values: JSONObject
    let check: SchemaCheck
    /// Values that were put in so far: a large one that is named often would make a small document huge.
    private var inserted = 0
    /// The keys that were referred to.
    private(set) var used: Set<String> = []

    init(_ scope: Scope, _ values: JSONObject, check: SchemaCheck) {
        (self.scope, self.values, self.check) = (scope, values, check)
    }

    /// A job's body, or an environment, with the values in it. A combination's body has no `matrix` any more.
    mutating func body(_ body: JSONObject, at path: JSONPointer = JSONPointer(), asText: Bool = false) -> JSONObject {
        var result = body
        if scope == .matrix { result.removeValue(forKey: "matrix") }
        for index in result.keys.indices {
            let key = result.keys[index]
            // The environment and the arguments of programs are text, so that a number is not read and written anew.
            let asText = asText || key == "env" || key == "command"
            result.values[index] = substituted(result.values[index], at: path / key, asText: asText)
        }
        return result
    }

    private mutating func substituted(_ value: JSONValue, at path: JSONPointer, asText: Bool) -> JSONValue {
        switch value {
        case .string(let text):
            guard ReferenceText.mightRefer(text), text.utf8.count > "${.}".utf8.count + scope.name.utf8.count else { return value }
            return substituted(text, at: path, asText: asText)
        case .array(let elements):
            return .array(elements.enumerated().map { substituted($1, at: path / $0, asText: asText) })
        case .object(var members):
            for index in members.keys.indices {
                members.values[index] = substituted(members.values[index], at: path / members.keys[index], asText: asText)
            }
            return .object(members)
        default:
            return value
        }
    }

    private mutating func substituted(_ text: String, at path: JSONPointer, asText: Bool) -> JSONValue {
        // A broken reference is reported where the references of the whole job are read.
        guard let parsed = try? ReferenceText(text), parsed.references.contains(where: { $0.name == scope.name }) else {
            return .string(text)
        }
        if let whole = parsed.whole, !asText { return value(of: whole, at: path) ?? .string(text) }
        var result = ""
        for part in parsed.parts {
            switch part {
            case .literal(let literal): result += ReferenceText.escaping(literal)
            case .reference(let token) where token.name == scope.name:
                guard let value = value(of: token, at: path) else { return .string(text) }
                guard let inserted = Self.text(value) else {
                    check.fail(
                        .badValue, path, "'\(token.raw)' is \(value.nounPhrase); only a text, a number or a boolean can stand inside a text"
                    )
                    return .string(text)
                }
                result += inserted
            case .reference(let token): result += "${\(token.raw)}"
            }
        }
        return .string(result)
    }

    private mutating func value(of token: ReferenceText.Token, at path: JSONPointer) -> JSONValue? {
        used.insert(token.path)
        guard let value = values[token.path] else {
            let hint = Spelling.suggestion(for: token.path, among: values.keys)
            let detail =
                switch scope {
                case .matrix: "the matrix has no key '\(token.path)'\(hint) in the combination \(JSONValue.object(values))"
                case .vars: "there is no variable '\(token.path)' in 'vars'\(hint)"
                }
            check.fail(.unknownReference, path, detail)
            return nil
        }
        inserted += Self.count(value)
        guard inserted <= SpecLimits.valuesMax else {
            check.fail(.tooLarge, path, "the '${\(scope.name).…}' of the document stand for more than \(SpecLimits.valuesMax) values")
            return nil
        }
        return value
    }

    private static func count(_ value: JSONValue) -> Int {
        switch value {
        case .array(let elements): elements.reduce(1) { $0 + count($1) }
        case .object(let members): members.values.reduce(1) { $0 + count($1) }
        default: 1
        }
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .int, .double, .bigInteger, .bool: value.description
        case .null, .array, .object: nil
        }
    }
}
