import Domain
import JSON

/// Checks one job's body against the tables of keys, and brings values into the form that workers get: absolute paths, arguments as text.
struct SchemaCheck {
    let world: World
    let diagnostics: Diagnostics
    /// The job in the document.
    let base: JSONPointer
    /// What each place that is one whole reference takes.
    var expected: [JSONPointer: ArtifactType] = [:]
    var externals: [ExternalInput] = []

    init(world: World, diagnostics: Diagnostics, base: JSONPointer) {
        (self.world, self.diagnostics, self.base) = (world, diagnostics, base)
    }

    /// Notes a mistake at `path` below the job.
    func fail(_ code: SpecError.Code, _ path: JSONPointer, _ detail: String, atKey: Bool = false) {
        diagnostics.add(code, at: JSONPointer(base.tokens + path.tokens), detail, atKey: atKey)
    }

    /// Checks `value` and rewrites it in place.
    mutating func check(_ value: inout JSONValue, as type: ValueType, at path: JSONPointer) {
        guard type.fitsSort(of: value) else {
            fail(.wrongType, path, "must be \(type), not \(value.nounPhrase)\(Self.hint(value, type))")
            return
        }
        switch type {
        case .boolean, .scalar: checkFinite(value, at: path)
        case .argument: if value.string == nil { value = .string(value.description) }
        case .integer(let range): checkInteger(value, in: range, type, at: path)
        case .number(let range):
            if !(value.double.map(range.contains) ?? false) { fail(.outOfRange, path, "must be \(type), not \(value)") }
        case .duration(let range):
            guard let span = Quantity.duration(value) else { fail(.badValue, path, "must be \(type), not \(value)"); return }
            if !range.contains(span) {
                fail(.outOfRange, path, "must be between \(Self.text(range.lowerBound)) and \(Self.text(range.upperBound))")
            }
        case .memory: if Quantity.bytes(value) == nil { fail(.badValue, path, "must be \(type), not \(value)") }
        case .nullable(let inner): if !value.isNull { check(&value, as: inner, at: path) }
        case .either(let types):
            if let fitting = Self.fitting(value, types) { check(&value, as: fitting, at: path) }
        case .list(let element, let count): checkList(&value, of: element, count: count, at: path)
        case .steps(let steps): checkSteps(&value, steps, at: path)
        case .object(let table): checkObject(&value, table, at: path)
        case .resources(let table): checkResources(&value, table, at: path)
        case .gpuCount:
            guard GPUCount(value) == nil else { return }
            // Two numbers that are no range are in conflict with each other; anything else is no number of GPUs at all.
            let isPair = value.string.map { $0.split(separator: "-").compactMap { Int($0) }.count == 2 } ?? false
            fail(isPair ? .conflict : .outOfRange, path, "must be \(type), not \(value)")
        case .map(let rule, let member): checkMap(&value, rule, member, at: path)
        case .text, .name, .choice, .path, .model, .weights, .dataset, .evaluation, .httpURL:
            checkText(&value, as: type, at: path)
        }
    }

    /// The type that a value is meant for. A number with a decimal point is none of the integers, even where its fraction is zero.
    static func fitting(_ value: JSONValue, _ types: [ValueType]) -> ValueType? {
        if case .double = value {
            let number = types.first { type in if case .number = type { true } else { false } }
            if let number { return number }
        }
        // Names and paths are both texts; a file of YAML is told by its ending.
        if case .string(let text) = value, PromptFile.isPath(text) {
            let path = types.first { type in if case .path = type { true } else { false } }
            if let path { return path }
        }
        return types.first { $0.fitsSort(of: value) }
    }

    private static func hint(_ value: JSONValue, _ type: ValueType) -> String {
        guard case .string(let text) = value else {
            if type.fitsSort(of: .string("x")), !value.isContainer, !value.isNull { return "; put it in quotes" }
            return ""
        }
        if type.fitsSort(of: .bool(true)), ["yes", "no", "on", "off", "y", "n"].contains(text.lowercased()) {
            return "; write true or false"
        }
        if ReferenceText.mightRefer(text) { return "; a reference cannot stand here" }
        return type.fitsSort(of: YAMLScalar.resolve(text)) ? "; write it without quotes" : ""
    }

    private static func text(_ span: Duration) -> String {
        let seconds = span.inSeconds
        return Int64(exactly: seconds).map { "\($0)s" } ?? "\(seconds)s"
    }

    private func checkFinite(_ value: JSONValue, at path: JSONPointer) {
        if case .double(let number) = value, !number.isFinite { fail(.badValue, path, "must be a finite number") }
    }

    private func checkInteger(_ value: JSONValue, in range: ClosedRange<Int>, _ type: ValueType, at path: JSONPointer) {
        guard let number = value.int, range.contains(number) else {
            fail(.outOfRange, path, "must be \(type), not \(value)")
            return
        }
    }

    private mutating func checkList(_ value: inout JSONValue, of element: ValueType, count: ClosedRange<Int>, at path: JSONPointer) {
        guard case .array(var elements) = value else { return }
        if elements.count < count.lowerBound { fail(.badValue, path, elements.isEmpty ? "must not be empty" : "has too few elements") }
        guard elements.count <= count.upperBound else {
            fail(.tooLarge, path, "has \(elements.count) elements; at most \(count.upperBound) are allowed")
            return
        }
        value = .null
        for index in elements.indices { check(&elements[index], as: element, at: path / index) }
        value = .array(elements)
    }

    /// Checks the members that `table` names, and refuses others.
    mutating func checkObject(_ value: inout JSONValue, _ table: [ParameterSchema], at path: JSONPointer) {
        guard case .object(var members) = value else { return }
        value = .null
        for index in members.keys.indices {
            let key = members.keys[index]
            if let schema = table.first(where: { $0.name == key }) {
                check(&members.values[index], as: schema.type, at: path / key)
            } else {
                fail(.unknownKey, path / key, Self.unknownKey(key, table), atKey: true)
            }
        }
        for schema in table where schema.isRequired && members[schema.name] == nil {
            fail(.required, path, "'\(schema.name)' is missing: \(schema.type)", atKey: true)
        }
        value = .object(members)
    }

    static func unknownKey(_ key: String, _ table: [ParameterSchema]) -> String {
        let names = table.map(\.name)
        let methods = ParameterSchema.methods(knowing: key, beside: table)
        if !methods.isEmpty { return "unknown key '\(key)': it belongs to \(methods.joined(separator: ", ")), and not to this method" }
        let suggestion = Spelling.suggestion(for: key, among: names)
        if !suggestion.isEmpty { return "unknown key '\(key)'\(suggestion)" }
        return "unknown key '\(key)'" + (names.isEmpty ? "; no key is allowed here" : "; allowed here: \(names.joined(separator: ", "))")
    }

    private mutating func checkMap(_ value: inout JSONValue, _ rule: NameRule, _ type: ValueType, at path: JSONPointer) {
        guard case .object(var members) = value else { return }
        guard members.count <= SpecLimits.mapCountMax else {
            fail(.tooLarge, path, "has \(members.count) keys; at most \(SpecLimits.mapCountMax) are allowed")
            return
        }
        value = .null
        for index in members.keys.indices {
            let key = members.keys[index]
            if !rule.matches(key) { fail(.badValue, path / key, "'\(key)' is no name for this place: \(rule.description)", atKey: true) }
            check(&members.values[index], as: type, at: path / key)
        }
        value = .object(members)
    }

    private mutating func checkSteps(_ value: inout JSONValue, _ steps: [ParameterSchema], at path: JSONPointer) {
        guard case .array(var elements) = value else { return }
        guard elements.count <= SpecLimits.mapCountMax else {
            fail(.tooLarge, path, "has \(elements.count) steps; at most \(SpecLimits.mapCountMax) are allowed")
            return
        }
        for index in elements.indices {
            let place = path / index
            guard case .object(var members) = elements[index], members.count == 1, let name = members.keys.first else {
                let example = elements[index].string.map { "write '- \($0): {}'" } ?? "write '- shuffle: {seed: 42}'"
                fail(.wrongType, place, "a step is a mapping with one key, its name; \(example)")
                continue
            }
            guard let step = steps.first(where: { $0.name == name }) else {
                let hint = Spelling.suggestion(for: name, among: steps.map(\.name))
                let known = hint.isEmpty ? "; known: \(steps.map(\.name).joined(separator: ", "))" : ""
                let noun = path == JSONPointer(["params", "rewards"]) ? "reward" : "step"
                fail(.unknownKey, place / name, "unknown \(noun) '\(name)'\(hint)\(known)", atKey: true)
                continue
            }
            // `- shuffle:` alone means the step with its defaults.
            if members.values[0].isNull { members.values[0] = .object([:]) }
            check(&members.values[0], as: step.type, at: place / name)
            elements[index] = .object(members)
        }
        value = .array(elements)
    }
}
