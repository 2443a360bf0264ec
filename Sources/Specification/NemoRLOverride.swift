import JSON

/// A change of a configuration on the command line, in the language of Hydra that NeMo RL takes.
struct NemoRLOverride {
    enum Action: Sendable, Hashable {
        /// `key=value`: the key must be there.
        case set
        /// `+key=value`: the key must not be there.
        case add
        /// `++key=value`
        case addOrSet
        /// `~key`
        case delete
    }

    var action: Action
    var path: [String]
    var value: JSONValue

    /// Why an override is refused.
    struct Failure: Error {
        var code: SpecError.Code
        var detail: String
    }

    /// Reads the text of an override.
    init(_ text: String) throws(Failure) {
        let signs: [(String, Action)] = [("++", .addOrSet), ("+", .add), ("~", .delete)]
        let sign = signs.first { text.hasPrefix($0.0) }
        action = sign?.1 ?? .set
        let body = text.dropFirst(sign?.0.count ?? 0)
        let equals = body.firstIndex(of: "=")
        guard equals != nil || action == .delete else {
            throw Failure(code: .badValue, detail: "'\(text)' has no '='; write key=value, +key=value, ++key=value or ~key")
        }
        let key = body[..<(equals ?? body.endIndex)]
        path = key.split(omittingEmptySubsequences: false) { ".[".contains($0) }.map { String($0.last == "]" ? $0.dropLast() : $0) }
        let allowed = path.allSatisfy { name in !name.isEmpty && name.allSatisfy { $0.isLetter || $0.isNumber || "_-".contains($0) } }
        guard allowed else { throw Failure(code: .badValue, detail: "'\(text)': '\(key)' is no key such as policy.optimizer.kwargs.lr") }
        value = try equals.map { index throws(Failure) in try Self.value(body[body.index(after: index)...], of: text) } ?? .null
    }

    private static func value(_ text: Substring, of override: String) throws(Failure) -> JSONValue {
        let trimmed = text.trimmingSpaces()
        guard let first = trimmed.first else { return .string("") }
        if first == "'" || first == "\"" {
            guard trimmed.count > 1, trimmed.last == first else {
                throw Failure(code: .badValue, detail: "'\(override)' has a quote without its end")
            }
            return .string(String(trimmed.dropFirst().dropLast()).replacing("\\\(first)", with: String(first)))
        }
        if first == "[" || first == "{" {
            guard trimmed.last == (first == "[" ? "]" : "}") else {
                throw Failure(code: .badValue, detail: "'\(override)' has a '\(first)' without its end")
            }
            // Hydra's own form of lists and mappings is read by Hydra; where it is no YAML as well, only that it is there is known.
            guard case .success(let map) = YAMLReader.read(trimmed) else { return .string(trimmed) }
            return map.value
        }
        if trimmed.contains(","), !trimmed.contains("${") {
            throw Failure(
                code: .badValue, detail: "'\(override)': a value with a comma is taken for a sweep; put it in quotes: key=\"'a,b'\"")
        }
        return YAMLScalar.resolve(trimmed)
    }

    /// Changes `config`, whose keys are all there are: the configuration is in struct mode.
    ///
    /// - Parameter tree: the keys that are known where the configuration cannot be read; `nil` where it could be.
    func apply(to config: inout NemoRLConfig, unread tree: NemoRLKeyTree?) throws(Failure) {
        let name = path.joined(separator: ".")
        let isThere = config.at(path) != nil || (tree.map { $0[path] != nil } ?? false)
        switch action {
        case .set where !isThere:
            throw Failure(code: .unknownKey, detail: "'\(name)' is not in the configuration\(hint(config)); write +\(name)=… to add it")
        case .add where config.at(path).map { !$0.isContainer && !$0.isNull } ?? false:
            throw Failure(code: .conflict, detail: "'\(name)' is in the configuration already; write \(name)=… or ++\(name)=… to change it")
        case .delete where !isThere:
            throw Failure(code: .unknownKey, detail: "'\(name)' cannot be deleted: it is not in the configuration\(hint(config))")
        default: break
        }
        var root = JSONValue.object(config.value)
        try Self.set(&root, path[...], to: action == .delete ? Optional<JSONValue>.none : value, name)
        config.value = root.object ?? [:]
        config.origins = config.origins.filter { !$0.key.starts(with: path) }
    }

    private func hint(_ config: NemoRLConfig) -> String {
        for count in path.indices {
            let members = config.at(Array(path[..<count]))?.object ?? [:]
            guard members[path[count]] == nil else { continue }
            let near = Spelling.nearest(to: path[count], among: members.keys)
            return near.map { " (did you mean '\((path[..<count] + [$0]).joined(separator: "."))'?)" } ?? ""
        }
        return ""
    }

    private static func set(_ target: inout JSONValue, _ path: ArraySlice<String>, to new: JSONValue?, _ name: String) throws(Failure) {
        guard let token = path.first else { return }
        switch target {
        case .object(var members):
            if path.count == 1 {
                members[token] = new
            } else {
                var member = members[token] ?? .object([:])
                try set(&member, path.dropFirst(), to: new, name)
                members[token] = member
            }
            target = .object(members)
        case .array(var elements):
            guard let index = Int(token), elements.indices.contains(index) else {
                throw Failure(code: .badValue, detail: "'\(name)' names '\(token)' in a list of \(elements.count) elements")
            }
            if path.count > 1 {
                try set(&elements[index], path.dropFirst(), to: new, name)
            } else if let new {
                elements[index] = new
            } else {
                elements.remove(at: index)
            }
            target = .array(elements)
        case .null:
            target = .object([:])
            try set(&target, path, to: new, name)
        default:
            throw Failure(code: .wrongType, detail: "'\(name)' goes into '\(token)', but \(target.nounPhrase) stands above it")
        }
    }
}
