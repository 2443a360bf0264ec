import Domain
import JSON

/// What makes two jobs equal, so that the outputs of one can stand for the other's.
public enum CacheKey {
    /// Keys of a job's body that do not change what it makes.
    private static let excluded: Set<String> = [
        "kind", "engine", "name", "description", "needs", "if", "matrix", "priority", "resources", "timeout", "retry", "grace", "cache",
        "preemptible", "concurrency", "hold", "stall", "nan_steps", "alerts", "log_dir", "secrets",
        "cluster",
        "env",
        "workdir",
    ]

    /// Canonical JSON of a job: keys sorted, defaults filled in, whole numbers as integers, and content hashes in the place of inputs.
    /// Two jobs are equal where these bytes are; the caller hashes them.
    ///
    /// - Parameters:
    ///   - spec: the job's body as it stands in the plan, with its references.
    ///   - environment: the variables of experiment and job together; `nil` takes those of the body.
    ///   - workingDirectory: `nil` takes that of the body.
    ///   - inputs: the SHA-256 of the content behind each place that names a path or an artifact, such as `/dataset`.
    ///   - references: the SHA-256 of the content behind each reference, by its text between the braces, such as `data.train`.
    public static func canonicalForm(
        kind: JobKind, engine: String, spec: JSONValue, environment: [String: String]? = nil, workingDirectory: String? = nil,
        inputs: [JSONPointer: String], references: [String: String] = [:]
    ) -> [UInt8] {
        let hashing = ContentHashes(inputs: inputs, references: references)
        var members = (spec.object ?? [:]).filter { !excluded.contains($0.key) }
        let own = NemoRLEngine.table(kind: kind, spec: spec)
        fillDefaults(&members, own ?? ParameterSchema.table(kind: kind, method: spec["method"]?.string))
        for index in members.keys.indices {
            members.values[index] = hashing.replaced(members.values[index], at: JSONPointer([members.keys[index]]))
        }
        let variables = environment.map { JSONValue.object(JSONObject(uniqueKeysWithValues: $0.map { ($0.key, .string($0.value)) })) }
        let form: JSONValue = [
            "version": 1,
            "kind": .string(kind.rawValue),
            "engine": .string(engine),
            "env": hashing.replaced(variables ?? spec["env"] ?? [:], at: JSONPointer(["env"])),
            "workdir": workingDirectory.map(JSONValue.string) ?? spec["workdir"] ?? .null,
            "spec": .object(members),
        ]
        return JSONWriter(sortsKeys: true).bytes(of: form)
    }

    /// A key that is left out and one that is given its default mean the same. Defaults that depend on other keys stay left out.
    private static func fillDefaults(_ members: inout JSONObject, _ table: [ParameterSchema]) {
        for schema in table where !excluded.contains(schema.name) {
            if members[schema.name] == nil { members[schema.name] = schema.defaultValue }
            guard let value = members[schema.name] else { continue }
            members[schema.name] = filled(value, schema.type)
        }
    }

    private static func filled(_ value: JSONValue, _ type: ValueType) -> JSONValue {
        switch (type, value) {
        case (.object(let table), .object(var members)):
            fillDefaults(&members, table)
            return .object(members)
        case (.list(let element, _), .array(let elements)):
            return .array(elements.map { filled($0, element) })
        case (.steps(let steps), .array(let elements)):
            return .array(
                elements.map { element in
                    guard case .object(var members) = element, let name = members.keys.first,
                        let step = steps.first(where: { $0.name == name })
                    else { return element }
                    members.values[0] = filled(members.values[0], step.type)
                    return .object(members)
                })
        case (.nullable(let inner), _):
            return value.isNull ? value : filled(value, inner)
        case (.either(let types), _):
            return types.first { $0.fitsSort(of: value) }.map { filled(value, $0) } ?? value
        default:
            return value
        }
    }
}

extension JobPlan {
    /// The canonical form of this job, see `CacheKey`.
    public func cacheForm(inputs: [JSONPointer: String], references: [String: String]) -> [UInt8] {
        CacheKey.canonicalForm(
            kind: kind, engine: engine, spec: spec, environment: environment, workingDirectory: workingDirectory, inputs: inputs,
            references: references)
    }
}

/// Puts content hashes in the place of paths, names and references.
private struct ContentHashes {
    let inputs: [JSONPointer: String]
    let references: [String: String]

    func replaced(_ value: JSONValue, at path: JSONPointer) -> JSONValue {
        switch value {
        case .string(let text):
            guard ReferenceText.mightRefer(text) else { return input(text, at: path) }
            // A plan contains no broken reference: they were errors.
            guard let parsed = try? ReferenceText(text) else { return value }
            if let whole = parsed.whole { return (references[whole.raw] ?? inputs[path]).map { ["sha256": .string($0)] } ?? value }
            return .string(Self.written(parsed) { references[$0.raw].map { "sha256:\($0)" } ?? $0.raw })
        case .array(let elements):
            return .array(elements.enumerated().map { replaced($1, at: path / $0) })
        case .object(var members):
            for index in members.keys.indices { members.values[index] = replaced(members.values[index], at: path / members.keys[index]) }
            return .object(members)
        case .double(let number):
            // 1 and 1.0 are the same number to every worker.
            return Int64(exactly: number).map(JSONValue.int) ?? value
        default:
            return value
        }
    }

    private func input(_ text: String, at path: JSONPointer) -> JSONValue {
        guard let hash = inputs[path] else { return .string(text) }
        // A command's argument may have been a reference within other text, which then counts, too.
        let isText = path.tokens.first == "command" || path.tokens.first == "env"
        return isText ? ["text": .string(text), "sha256": .string(hash)] : ["sha256": .string(hash)]
    }

    private static func written(_ text: ReferenceText, _ name: (ReferenceText.Token) -> String) -> String {
        text.parts.map { part in
            switch part {
            case .literal(let literal): ReferenceText.escaping(literal)
            case .reference(let token): "${\(name(token))}"
            }
        }.joined()
    }
}
