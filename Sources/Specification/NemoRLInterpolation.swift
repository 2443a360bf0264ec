import JSON

/// The `${…}` of OmegaConf in a configuration: `${policy.precision}`, relative `${.x}` and `${..x}`, and the resolvers `add`, `mul`, `div`
/// and `max`. They stay in the file for NeMo RL to resolve; here they are followed to find what is wrong with them.
struct NemoRLInterpolation {
    let config: NemoRLConfig

    /// Why a text cannot be resolved.
    struct Failure: Error {
        var detail: String
    }

    /// The value at `path` with what it refers to put in; `nil` where there is none, or where only the run will know.
    func resolved(_ path: [String]) -> JSONValue? {
        guard let value = config.at(path) else { return nil }
        // What cannot be resolved is reported where all values are looked at.
        return (try? resolve(value, at: path, depth: 0)) ?? nil
    }

    /// What is wrong with a text at `path`; `nil` where nothing is.
    func problem(in text: String, at path: [String]) -> String? {
        do throws(Failure) {
            _ = try resolve(.string(text), at: path, depth: 0)
            return nil
        } catch {
            return error.detail
        }
    }

    /// - Returns: `nil` for what only the run knows, such as an environment variable.
    private func resolve(_ value: JSONValue, at path: [String], depth: Int) throws(Failure) -> JSONValue? {
        guard case .string(let text) = value, text.contains("${") else { return value }
        guard depth < SpecLimits.interpolationDepthMax else { throw Failure(detail: "'\(text)' refers to itself") }
        var rest = text[...]
        var result = ""
        while let dollar = rest.firstRange(of: "${") {
            // Of the backslashes before it each pair is one, and one that is left over makes it a plain text.
            let backslashes = rest[..<dollar.lowerBound].reversed().prefix { $0 == "\\" }.count
            let before = rest[..<dollar.lowerBound].dropLast(backslashes - backslashes / 2)
            if backslashes % 2 == 1 {
                result += String(before) + "${"
                rest = rest[dollar.upperBound...]
                continue
            }
            let (inner, after) = try Self.inner(rest[dollar.upperBound...], of: text)
            let found = try self.value(of: inner, at: path, depth: depth)
            if before.isEmpty, result.isEmpty, after.isEmpty { return found }
            guard let found else { return nil }
            result += before + (found.string ?? found.description)
            rest = after
        }
        return .string(result + rest)
    }

    /// The text between the braces, which may hold braces of its own, and what follows.
    private static func inner(_ text: Substring, of whole: String) throws(Failure) -> (Substring, Substring) {
        var depth = 1
        for index in text.indices {
            if text[index] == "{" { depth += 1 } else if text[index] == "}" { depth -= 1 }
            if depth == 0 { return (text[..<index], text[text.index(after: index)...]) }
        }
        throw Failure(detail: "'\(whole)' has a '${' without its '}'")
    }

    private func value(of inner: Substring, at path: [String], depth: Int) throws(Failure) -> JSONValue? {
        let name = inner.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }
        if inner[name.endIndex...].first == ":" {
            return try call(String(name), inner[inner.index(after: name.endIndex)...], at: path, depth: depth)
        }
        var reference = String(inner.trimmingSpaces())
        if reference.contains("${") {
            // A part of the name is a reference of its own.
            guard let named = try resolve(.string(reference), at: path, depth: depth + 1) else { return nil }
            reference = named.string ?? named.description
        }
        guard !reference.isEmpty else { throw Failure(detail: "'${\(inner)}' refers to nothing") }
        let target = try Self.target(reference, from: path)
        guard let (place, value) = try find(target, depth: depth) else { return nil }
        guard let value else {
            let known = config.at(Array(target.dropLast()))?.object.map { Array($0.keys) } ?? []
            let hint = target.last.map { Spelling.suggestion(for: $0, among: known) } ?? ""
            throw Failure(detail: "'${\(inner)}' refers to '\(target.joined(separator: "."))', which is not there\(hint)")
        }
        return try resolve(value, at: place, depth: depth + 1)
    }

    /// What stands at a place, and where: on the way a reference leads on to what it refers to. The value is `nil` where there is none,
    /// the whole where only the run knows.
    private func find(_ target: [String], depth: Int) throws(Failure) -> (place: [String], value: JSONValue?)? {
        if let value = config.at(target) { return (target, value) }
        for count in target.indices.dropFirst() {
            let way = Array(target.prefix(count))
            guard case .string(let text)? = config.at(way), text.contains("${") else { continue }
            guard let found = try resolve(.string(text), at: way, depth: depth + 1) else { return nil }
            return (target, found[JSONPointer(Array(target.dropFirst(count)))])
        }
        return (target, nil)
    }

    /// The place that a reference means: from the root, or from the mapping around it, one level further out for each further dot.
    private static func target(_ reference: String, from path: [String]) throws(Failure) -> [String] {
        let dots = reference.prefix { $0 == "." }.count
        // `a[0]` is another form of `a.0`.
        let names = reference.dropFirst(dots).split { ".[]".contains($0) }.map(String.init)
        guard dots > 0 else { return names }
        guard dots <= path.count else { throw Failure(detail: "'${\(reference)}' leads out of the configuration") }
        return path.dropLast(dots) + names
    }

    private func call(_ name: String, _ text: Substring, at path: [String], depth: Int) throws(Failure) -> JSONValue? {
        // OmegaConf's own resolvers, such as oc.env, look at what only the run has.
        if Self.ownResolvers.contains(name) { return nil }
        guard ["add", "mul", "div", "max"].contains(name) else {
            let hint = Spelling.suggestion(for: name, among: ["add", "mul", "div", "max"] + Self.ownResolvers)
            throw Failure(detail: "'${\(name):…}': NeMo RL has no resolver '\(name)'\(hint); it has add, mul, div and max")
        }
        let arguments: [JSONValue]
        do throws(NemoRLValueText.Failure) {
            arguments = try NemoRLValueText.arguments(of: text)
        } catch {
            throw Failure(detail: "'${\(name):…}': \(error.detail)")
        }
        guard arguments.count == 2 else { throw Failure(detail: "'${\(name):…}' takes two arguments, not \(arguments.count)") }
        var values: [JSONValue] = []
        for argument in arguments {
            guard let value = try resolve(argument, at: path, depth: depth + 1) else { return nil }
            values.append(value)
        }
        return try Self.computed(name, values[0], values[1])
    }

    private static let ownResolvers = [
        "oc.env", "oc.select", "oc.create", "oc.decode", "oc.deprecated", "oc.dict.keys", "oc.dict.values",
    ]

    /// What Python's operators make of two values; `nil` for what only the run need know.
    private static func computed(_ name: String, _ left: JSONValue, _ right: JSONValue) throws(Failure) -> JSONValue? {
        let (a, b) = (counted(left), counted(right))
        if a.double != nil, b.double != nil { return try number(name, a, b) }
        switch (name, left, right) {
        case ("add", .string(let first), .string(let second)): return .string(first + second)
        case ("add", .array(let first), .array(let second)): return .array(first + second)
        case ("max", .string(let first), .string(let second)):
            return .string(first.unicodeScalars.lexicographicallyPrecedes(second.unicodeScalars) ? second : first)
        // A text or a list that is repeated.
        case ("mul", .string, .int), ("mul", .int, .string), ("mul", .array, .int), ("mul", .int, .array): return nil
        default:
            let other = a.double == nil ? left : right
            throw Failure(detail: "'${\(name):…}' takes numbers, and '\(other.string ?? other.description)' is \(other.nounPhrase)")
        }
    }

    /// Truth values count as 0 and 1.
    private static func counted(_ value: JSONValue) -> JSONValue { value.bool.map { $0 ? 1 : 0 } ?? value }

    private static func number(_ name: String, _ left: JSONValue, _ right: JSONValue) throws(Failure) -> JSONValue {
        let (a, b) = (left.double ?? 0, right.double ?? 0)
        let result: Double
        switch name {
        case "add": result = a + b
        case "mul": result = a * b
        case "max": return a >= b ? left : right
        default:
            guard b != 0 else { throw Failure(detail: "'${div:…}' divides by zero") }
            // Python's `/`: always a floating-point number.
            return .double(a / b)
        }
        // Integers stay integers, as in Python.
        if case .int = left, case .int = right, let whole = Int64(exactly: result) { return .int(whole) }
        return .double(result)
    }
}
