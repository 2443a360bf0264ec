import JSON

/// The combinations of a job's `matrix`, by the rules that GitHub's workflows have made known.
///
/// - Each combination takes one value of each key, the last key varying fastest.
/// - `exclude` removes the combinations that have all the values of one of its mappings.
/// - A mapping of `include` adds its further keys to each combination whose values it does not contradict; where it adds to none, it
///   becomes a combination of its own.
struct Matrix {
    /// At least one, unless a mistake was noted.
    private(set) var combinations: [JSONObject] = []

    init(_ value: JSONValue, check: SchemaCheck, jobsLeft: Int) {
        let path = JSONPointer(["matrix"])
        guard case .object(let members) = value else {
            check.fail(.wrongType, path, "must be a mapping of keys to lists of values, not \(value.nounPhrase)")
            return
        }
        let before = check.diagnostics.count
        var axes = members
        let include = Self.mappings(axes.removeValue(forKey: "include"), path / "include", check)
        let exclude = Self.mappings(axes.removeValue(forKey: "exclude"), path / "exclude", check)
        Self.checkAxes(axes, path, check)
        guard check.diagnostics.count == before else { return }
        var product = 1
        for values in axes.values {
            let (next, overflows) = product.multipliedReportingOverflow(by: values.array?.count ?? 1)
            product = overflows ? .max : next
        }
        guard product <= jobsLeft else {
            check.fail(.tooLarge, path, "makes \(product) combinations; an experiment has at most \(SpecLimits.jobsMax) jobs")
            return
        }
        combinations = axes.isEmpty ? [] : Self.product(of: axes)
        apply(exclude: exclude, axes: axes, path, check)
        apply(include: include, axes: axes)
        if combinations.isEmpty, check.diagnostics.count == before { check.fail(.conflict, path, "leaves no combination") }
    }

    private static func mappings(_ value: JSONValue?, _ path: JSONPointer, _ check: SchemaCheck) -> [JSONObject] {
        guard let value else { return [] }
        guard case .array(let elements) = value, elements.count <= SpecLimits.listCountMax else {
            check.fail(.wrongType, path, "must be a list of mappings, not \(value.nounPhrase)")
            return []
        }
        return elements.enumerated().compactMap { index, element in
            guard case .object(let members) = element, !members.isEmpty else {
                check.fail(.wrongType, path / index, "must be a mapping of matrix keys to values, not \(element.nounPhrase)")
                return nil
            }
            for key in members.keys { checkKey(key, path / index, check) }
            return members
        }
    }

    private static func checkKey(_ key: String, _ path: JSONPointer, _ check: SchemaCheck) {
        if !NameRule.variable.matches(key) {
            check.fail(.badValue, path / key, "'\(key)' is no name for a matrix key: \(NameRule.variable.description)", atKey: true)
        }
    }

    private static func checkAxes(_ axes: JSONObject, _ path: JSONPointer, _ check: SchemaCheck) {
        if axes.count > SpecLimits.matrixKeysMax {
            check.fail(.tooLarge, path, "has \(axes.count) keys; at most \(SpecLimits.matrixKeysMax) are allowed")
        }
        for (key, value) in axes {
            checkKey(key, path, check)
            guard case .array(let values) = value else {
                check.fail(.wrongType, path / key, "must be a list of values, not \(value.nounPhrase)")
                continue
            }
            if values.isEmpty { check.fail(.badValue, path / key, "must not be empty") }
            if Set(values).count != values.count { check.fail(.badValue, path / key, "lists a value twice") }
        }
    }

    private static func product(of axes: JSONObject) -> [JSONObject] {
        var combinations: [JSONObject] = [[:]]
        for (key, values) in axes {
            combinations = combinations.flatMap { combination in
                (values.array ?? []).map { value in
                    var extended = combination
                    extended[key] = value
                    return extended
                }
            }
        }
        return combinations
    }

    private mutating func apply(exclude: [JSONObject], axes: JSONObject, _ path: JSONPointer, _ check: SchemaCheck) {
        for (index, pattern) in exclude.enumerated() {
            let place = path / "exclude" / index
            for key in pattern.keys where axes[key] == nil {
                check.fail(
                    .conflict, place / key, "the matrix has no key '\(key)'\(Spelling.suggestion(for: key, among: axes.keys))", atKey: true)
            }
            let before = combinations.count
            combinations.removeAll { combination in pattern.allSatisfy { combination[$0.key] == $0.value } }
            if before == combinations.count, pattern.keys.allSatisfy({ axes[$0] != nil }) {
                check.fail(.conflict, place, "excludes no combination")
            }
        }
    }

    private mutating func apply(include: [JSONObject], axes: JSONObject) {
        let originals = combinations.count
        for addition in include {
            var added = false
            for index in 0..<originals where addition.allSatisfy({ axes[$0.key] == nil || combinations[index][$0.key] == $0.value }) {
                combinations[index].merge(addition) { _, new in new }
                added = true
            }
            if !added { combinations.append(addition) }
        }
    }
}
