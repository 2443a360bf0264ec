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
    /// `nil` for `~key` without one.
    var value: JSONValue?

    /// Why an override is refused.
    struct Failure: Error {
        var code: SpecError.Code
        var detail: String
    }

    /// Reads the text of an override.
    ///
    /// - Parameter isDotList: the program takes `key=value` alone, the value being YAML, and no key need be there.
    init(_ text: String, isDotList: Bool = false) throws(Failure) {
        let signs: [(String, Action)] = [("++", .addOrSet), ("+", .add), ("~", .delete)]
        let sign = signs.first { text.hasPrefix($0.0) }
        action = sign?.1 ?? (isDotList ? .addOrSet : .set)
        if isDotList, let sign {
            let detail = "'\(text)': NeMo RL's evaluation takes key=value alone, and would take '\(sign.0)' for a part of the key"
            throw Failure(code: .badValue, detail: detail)
        }
        let body = text.dropFirst(sign?.0.count ?? 0)
        let equals = body.firstIndex(of: "=")
        guard equals != nil || action == .delete else {
            throw Failure(code: .badValue, detail: "'\(text)' has no '='; write key=value, +key=value, ++key=value or ~key")
        }
        let key = body[..<(equals ?? body.endIndex)]
        path = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let allowed = path.allSatisfy { name in
            !name.isEmpty && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-$".contains($0)) }
        }
        guard allowed else { throw Failure(code: .badValue, detail: "'\(text)': '\(key)' is no key such as policy.optimizer.kwargs.lr") }
        value = try equals.map { index throws(Failure) in try Self.value(body[body.index(after: index)...], of: text, isDotList) }
    }

    private static func value(_ text: Substring, of override: String, _ isDotList: Bool) throws(Failure) -> JSONValue {
        if isDotList {
            if text.isEmpty { return .null }
            switch YAMLReader.read(String(text), .nemoRL) {
            case .success(let map): return map.value
            case .failure(let error): throw Failure(code: .badValue, detail: "'\(override)': \(error.detail)")
            }
        }
        do throws(NemoRLValueText.Failure) {
            return try NemoRLValueText.value(of: text)
        } catch {
            throw Failure(code: .badValue, detail: "'\(override)': \(error.detail)")
        }
    }

    /// Changes `config`, whose keys are all there are: the configuration is in struct mode.
    ///
    /// - Parameter tree: the keys that are known where the configuration cannot be read; `nil` where it could be.
    func apply(to config: inout NemoRLConfig, unread tree: NemoRLKeyTree?) throws(Failure) {
        let name = path.joined(separator: ".")
        let present = config.at(path)
        let isThere = present != nil || (tree.map { $0[path] != nil } ?? false)
        switch action {
        case .set where !isThere:
            throw Failure(code: .unknownKey, detail: "'\(name)' is not in the configuration\(hint(config)); write +\(name)=… to add it")
        case .add where present.map { !$0.isNull } ?? false && !(value?.isContainer ?? false):
            throw Failure(code: .conflict, detail: "'\(name)' is in the configuration already; write \(name)=… or ++\(name)=… to change it")
        case .delete where !isThere:
            throw Failure(code: .unknownKey, detail: "'\(name)' cannot be deleted: it is not in the configuration\(hint(config))")
        case .delete where value != nil && present != nil && value != present:
            throw Failure(code: .conflict, detail: "'\(name)' is not deleted: it has another value than the one given; write ~\(name)")
        default: break
        }
        var root = JSONValue.object(config.value)
        let new = action == .delete ? nil : try laid(over: present, name)
        try Self.set(&root, path[...], to: new, name)
        config.value = root.object ?? [:]
        config.origins = config.origins.filter { !$0.key.starts(with: path) }
    }

    /// The value as it comes to stand: mappings are merged into those that are there.
    private func laid(over present: JSONValue?, _ name: String) throws(Failure) -> JSONValue? {
        guard let value, let present, value.isContainer, present.isContainer else { return value }
        if case .object(let new) = value, case .object(let old) = present {
            let added = new.keys.first { old[$0] == nil }
            if action == .set, let added {
                let detail = "'\(name).\(added)' is not in the configuration; write +\(name)=… to add it"
                throw Failure(code: .unknownKey, detail: detail)
            }
            return .object(NemoRLConfig.merged(old, new))
        }
        guard case .array = value, case .array = present else {
            let detail = "'\(name)' is \(present.nounPhrase), and OmegaConf lays no \(value.object == nil ? "list" : "mapping") over it"
            throw Failure(code: .wrongType, detail: detail)
        }
        return value
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
