import JSON

/// One thing that is wrong with a NeMo RL job, at a place of its spec.
public struct NemoRLProblem: Error, Sendable, Hashable {
    public var code: SpecError.Code
    /// The place in the job's body.
    public var pointer: JSONPointer
    public var detail: String
}

/// A NeMo RL configuration after its `defaults` were laid under it, with the place that each key was written at.
public struct NemoRLConfig: Sendable {
    /// A file and a line of it, from 1.
    struct Origin: Sendable, Hashable {
        var file: String
        var line: Int

        /// Such as `sft.yaml:12`.
        var text: String { "\(file.split(separator: "/").last ?? ""):\(line)" }
    }

    public internal(set) var value: JSONObject = [:]
    var origins: [[String]: Origin] = [:]
    /// The places where a list meets a mapping, so that NeMo RL cannot read the configuration.
    private(set) var clashes: [[String]] = []

    /// The value at a dotted path.
    public subscript(dotted path: String) -> JSONValue? { at(path.split(separator: ".").map(String.init)) }

    func at(_ path: [String]) -> JSONValue? { JSONValue.object(value)[JSONPointer(path)] }

    /// Lays `upper` over this one, as NeMo RL's `merge_with_override` does: mappings are merged, all else replaced, and a section of the
    /// root with `_override_: true` takes the place of the one below it. Deeper down the marker means nothing there.
    mutating func lay(_ upper: NemoRLConfig) {
        var upper = upper
        for (key, section) in upper.value {
            guard case .object(var members) = section, let marker = members["_override_"] else { continue }
            members["_override_"] = nil
            upper.value[key] = .object(members)
            guard Self.isTrue(marker) else { continue }
            value[key] = nil
            origins = origins.filter { $0.key.first != key }
        }
        clashes += Self.clashes(.object(value), .object(upper.value), at: [])
        value = Self.merged(value, upper.value)
        origins.merge(upper.origins) { _, new in new }
    }

    /// What went wrong in a file below went wrong here.
    fileprivate mutating func take(clashesOf below: NemoRLConfig) { clashes += below.clashes }

    /// What Python takes for true.
    private static func isTrue(_ marker: JSONValue) -> Bool {
        switch marker {
        case .string(let text): !text.isEmpty
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        default: marker.bool ?? (marker.double.map { $0 != 0 } ?? false)
        }
    }

    /// Where a list is laid over a mapping, or a mapping over a list, which OmegaConf refuses.
    private static func clashes(_ lower: JSONValue, _ upper: JSONValue, at path: [String]) -> [[String]] {
        switch (lower, upper) {
        case (.object(let old), .object(let new)):
            new.flatMap { key, value in old[key].map { clashes($0, value, at: path + [key]) } ?? [] }
        case (.object, .array), (.array, .object): [path]
        default: []
        }
    }

    static func merged(_ lower: JSONObject, _ upper: JSONObject) -> JSONObject {
        var result = lower
        for (key, value) in upper {
            if case .object(let new) = value, case .object(let old)? = result[key] {
                result[key] = .object(merged(old, new))
            } else {
                result[key] = value
            }
        }
        return result
    }
}

/// Reads configurations with their chains of `defaults`.
struct NemoRLConfigReader {
    /// The text of a file; `nil` where there is none that can be read.
    let read: (String) -> [UInt8]?
    /// The place of the spec that named the first file.
    let pointer: JSONPointer
    private var chain: [String] = []
    private var filesLeft = SpecLimits.configFilesMax

    init(pointer: JSONPointer, read: @escaping (String) -> [UInt8]?) { (self.pointer, self.read) = (pointer, read) }

    /// The configuration in the file at `path`, an absolute path, on top of its defaults.
    mutating func load(_ path: String) throws(NemoRLProblem) -> NemoRLConfig {
        guard !chain.contains(path) else {
            throw problem(.cycle, "\(path): its 'defaults' lead back to itself: \((chain + [path]).joined(separator: " → "))")
        }
        filesLeft -= 1
        guard filesLeft >= 0 else { throw problem(.tooLarge, "more than \(SpecLimits.configFilesMax) files by 'defaults'") }
        let (own, parents) = try parse(path)
        chain.append(path)
        defer { chain.removeLast() }
        var config = NemoRLConfig()
        for parent in parents {
            // In a file of its own folder, as NeMo RL resolves it.
            let folder = path.split(separator: "/").dropLast().joined(separator: "/")
            let below = try load(Self.normalised(parent.hasPrefix("/") ? parent : "/\(folder)/\(parent)"))
            config.take(clashesOf: below)
            config.lay(below)
        }
        config.lay(own)
        return config
    }

    private func parse(_ path: String) throws(NemoRLProblem) -> (NemoRLConfig, [String]) {
        guard let bytes = read(path) else {
            let whose = chain.last.map { ", which \($0) names under 'defaults'" } ?? ""
            throw problem(.missingFile, "there is no file at '\(path)'\(whose)")
        }
        guard bytes.count <= SpecLimits.documentBytesMax else {
            throw problem(.tooLarge, "\(path) has \(bytes.count) bytes; at most \(SpecLimits.documentBytesMax) are allowed")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw problem(.syntax, "\(path) is not UTF-8") }
        let source: SourceMap
        switch YAMLReader.read(text.hasPrefix("\u{FEFF}") ? String(text.unicodeScalars.dropFirst()) : text, .nemoRL) {
        case .success(let map): source = map
        case .failure(let error): throw problem(error.code, "\(path):\(error.line.map { "\($0):" } ?? "") \(error.detail)")
        }
        guard case .object(var members) = source.value else { throw problem(.wrongType, "\(path) is no mapping") }
        let defaults = members.removeValue(forKey: "defaults")
        let parents = defaults?.string.map { [$0] } ?? defaults?.array?.compactMap(\.string) ?? []
        var config = NemoRLConfig(value: members)
        config.note(.object(members), source, file: path, at: [])
        return (config, parents)
    }

    /// Takes `.` and `..` out of a path.
    static func normalised(_ path: String) -> String {
        var names: [Substring] = []
        for name in path.split(separator: "/") where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return "/" + names.joined(separator: "/")
    }

    private func problem(_ code: SpecError.Code, _ detail: String) -> NemoRLProblem {
        NemoRLProblem(code: code, pointer: pointer, detail: detail)
    }
}

extension NemoRLConfig {
    /// Notes where each key of a file stands.
    fileprivate mutating func note(_ value: JSONValue, _ source: SourceMap, file: String, at path: [String]) {
        if !path.isEmpty {
            origins[path] = Origin(file: file, line: Int(source.position(of: JSONPointer(path), atKey: true).line))
        }
        for (key, member) in value.object ?? [:] { note(member, source, file: file, at: path + [key]) }
    }
}
