import JSON

/// Puts the values of one combination of a matrix in the place of `${matrix.key}`.
struct MatrixSubstitution {
    let combination: JSONObject
    let check: SchemaCheck

    /// The job's body for this combination, without its `matrix`.
    func body(_ body: JSONObject) -> JSONObject {
        var result = body
        result.removeValue(forKey: "matrix")
        for index in result.keys.indices {
            let key = result.keys[index]
            // The environment and the arguments of programs are text, so that a number is not read and written anew.
            result.values[index] = substituted(result.values[index], at: JSONPointer([key]), asText: key == "env" || key == "command")
        }
        return result
    }

    private func substituted(_ value: JSONValue, at path: JSONPointer, asText: Bool) -> JSONValue {
        switch value {
        case .string(let text):
            guard ReferenceText.mightRefer(text), text.utf8.count >= "${matrix.x}".utf8.count else { return value }
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

    private func substituted(_ text: String, at path: JSONPointer, asText: Bool) -> JSONValue {
        // A broken reference is reported where the references of the whole job are read.
        guard let parsed = try? ReferenceText(text), parsed.references.contains(where: { $0.name == "matrix" }) else {
            return .string(text)
        }
        if let whole = parsed.whole, !asText { return value(of: whole, at: path) ?? .string(text) }
        var result = ""
        for part in parsed.parts {
            switch part {
            case .literal(let literal): result += ReferenceText.escaping(literal)
            case .reference(let token) where token.name == "matrix":
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

    private func value(of token: ReferenceText.Token, at path: JSONPointer) -> JSONValue? {
        guard let value = combination[token.path] else {
            let hint = Spelling.suggestion(for: token.path, among: combination.keys)
            check.fail(
                .unknownReference, path, "the matrix has no key '\(token.path)'\(hint) in the combination \(JSONValue.object(combination))")
            return nil
        }
        return value
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .int, .double, .bigInteger, .bool: value.description
        case .null, .array, .object: nil
        }
    }
}
