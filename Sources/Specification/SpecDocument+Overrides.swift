import JSON

extension SpecDocument {
    /// The keys that an override's path may start with; any other first name is that of a job.
    static let topLevelKeys = ParameterSchema.document.map(\.name)

    /// The document with `overrides` such as `jobs.sft.params.epochs=2`, `sft.params.epochs=2` or `name=second` applied in order.
    ///
    /// Missing mappings on the way are made; a number names an element of a list, and the number after the last appends.
    /// A value is a plain YAML scalar, or YAML in flow style where it starts with `[`, `{` or a quote.
    public func setting(overrides: [String]) -> Result<SpecDocument, SpecErrors> {
        guard overrides.count <= SpecLimits.overridesMax else {
            let detail = "more than \(SpecLimits.overridesMax) overrides"
            return .failure(SpecErrors([SpecError(pointer: JSONPointer(), detail: detail, code: .tooLarge)]))
        }
        var document = self
        var errors: [SpecError] = []
        for text in overrides {
            do throws(SpecError) {
                try document.apply(text)
            } catch {
                errors.append(error)
            }
        }
        return errors.isEmpty ? .success(document) : .failure(SpecErrors(errors))
    }

    private mutating func apply(_ text: String) throws(SpecError) {
        guard let equals = text.firstIndex(of: "=") else {
            throw Self.problem(text, "has no '='; write --set path.to.key=value")
        }
        var path = text[..<equals].split(separator: ".", omittingEmptySubsequences: false).map { $0.trimmingSpaces() }
        guard !path.contains("") else { throw Self.problem(text, "has an empty name in its path") }
        if !Self.topLevelKeys.contains(path[0]) {
            let jobs = value["jobs"]?.object.map { Array($0.keys) } ?? []
            guard jobs.contains(path[0]) else {
                let hint = Spelling.suggestion(for: path[0], among: Self.topLevelKeys + jobs)
                throw Self.problem(text, "starts with '\(path[0])', which is neither a key of the spec nor a job\(hint)", .unknownName)
            }
            path.insert("jobs", at: 0)
        }
        let new = try Self.overrideValue(String(text[text.index(after: equals)...]), of: text)
        guard path.count <= SpecLimits.depthMax else { throw Self.problem(text, "has too long a path", .tooLarge) }
        try Self.set(&value, path[...], to: new, text: text)
        overridden[JSONPointer(path)] = text
    }

    private static func problem(_ text: String, _ detail: String, _ code: SpecError.Code = .badValue) -> SpecError {
        SpecError(pointer: JSONPointer(), detail: "the override '\(text)' \(detail)", code: code)
    }

    private static func overrideValue(_ text: String, of override: String) throws(SpecError) -> JSONValue {
        let trimmed = text.trimmingSpaces()
        guard let first = trimmed.first, "[{\"'".contains(first) else { return YAMLScalar.resolve(trimmed) }
        switch YAMLReader.read(trimmed) {
        case .success(let source): return source.value
        case .failure(let error): throw problem(override, "has a value that cannot be read: \(error.detail)", error.code)
        }
    }

    private static func set(_ target: inout JSONValue, _ path: ArraySlice<String>, to new: JSONValue, text: String) throws(SpecError) {
        guard let token = path.first else { target = new; return }
        switch target {
        case .object(var members):
            // The value leaves the mapping while it changes, so that it is not copied.
            target = .null
            defer { target = .object(members) }
            var member = members[token] ?? .null
            try set(&member, path.dropFirst(), to: new, text: text)
            members[token] = member
        case .array(var elements):
            guard let index = Int(token), (0...elements.count).contains(index) else {
                throw problem(text, "names '\(token)' in a list of \(elements.count) elements; give a number from 0 to \(elements.count)")
            }
            if index == elements.count { elements.append(.null) }
            target = .null
            defer { target = .array(elements) }
            try set(&elements[index], path.dropFirst(), to: new, text: text)
        case .null:
            var made = JSONValue.object([:])
            try set(&made, path, to: new, text: text)
            target = made
        default:
            throw problem(text, "goes into '\(token)', but \(target.nounPhrase) stands above it", .wrongType)
        }
    }
}

extension StringProtocol {
    /// The text without spaces and tabs at its ends.
    func trimmingSpaces() -> String {
        let start = drop { $0 == " " || $0 == "\t" }
        var end = start.endIndex
        while end > start.startIndex, start[start.index(before: end)] == " " || start[start.index(before: end)] == "\t" {
            end = start.index(before: end)
        }
        return String(start[..<end])
    }
}
