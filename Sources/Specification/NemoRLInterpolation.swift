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
            let before = rest[..<dollar.lowerBound]
            if before.last == "\\" {
                result += before.dropLast() + "${"
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
        let target = try Self.target(inner.trimmingSpaces(), from: path)
        guard let value = config.at(target) else {
            let known = config.at(Array(target.dropLast()))?.object.map { Array($0.keys) } ?? []
            let hint = target.last.map { Spelling.suggestion(for: $0, among: known) } ?? ""
            throw Failure(detail: "'${\(inner)}' refers to '\(target.joined(separator: "."))', which is not there\(hint)")
        }
        return try resolve(value, at: target, depth: depth + 1)
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
        if name.hasPrefix("oc.") { return nil }
        guard ["add", "mul", "div", "max"].contains(name) else {
            let hint = Spelling.suggestion(for: name, among: ["add", "mul", "div", "max", "oc.env"])
            throw Failure(detail: "'${\(name):…}': NeMo RL has no resolver '\(name)'\(hint); it has add, mul, div and max")
        }
        let arguments = Self.arguments(text)
        guard arguments.count == 2 else { throw Failure(detail: "'${\(name):…}' takes two arguments, not \(arguments.count)") }
        var numbers: [JSONValue] = []
        for argument in arguments {
            let plain = argument.contains("${") ? JSONValue.string(argument) : YAMLScalar.resolve(argument)
            guard let value = try resolve(plain, at: path, depth: depth + 1) else { return nil }
            guard value.double != nil else {
                throw Failure(detail: "'${\(name):…}' takes numbers, and '\(argument)' is \(value.nounPhrase)")
            }
            numbers.append(value)
        }
        return try Self.computed(name, numbers[0], numbers[1])
    }

    private static func arguments(_ text: Substring) -> [String] {
        var parts = [""]
        var depth = 0
        for character in text {
            if character == "{" { depth += 1 } else if character == "}" { depth -= 1 }
            if character == ",", depth == 0 { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts.map { $0.trimmingSpaces() }
    }

    private static func computed(_ name: String, _ left: JSONValue, _ right: JSONValue) throws(Failure) -> JSONValue {
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
