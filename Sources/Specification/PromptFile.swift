import JSON

/// A prompt in a file of its own, in NeMo-Skills' form: `user`, and where wanted `system` and `few_shot_examples` with `prefix`, `template`,
/// `suffix` and the `examples` themselves.
public enum PromptFile {
    private static let keys = ["user", "system", "few_shot_examples"]
    private static let exampleKeys = ["prefix", "template", "suffix", "examples", "examples_type"]

    /// Whether a spec's `prompt` names a file.
    public static func isPath(_ text: String) -> Bool { text.hasSuffix(".yaml") || text.hasSuffix(".yml") }

    /// Reads a file into what a spec's `prompt` holds. All that is wrong is told at once.
    public static func parse(_ bytes: [UInt8]) -> Result<JSONObject, SpecErrors> {
        let document: JSONValue
        switch SpecDocument.parse(bytes, format: .yaml) {
        case .failure(let errors): return .failure(errors)
        case .success(let found): document = found.value
        }
        var errors: [SpecError] = []
        let fail = { (pointer: JSONPointer, detail: String) in errors.append(SpecError(pointer: pointer, detail: detail, code: .badValue)) }
        let root = document.object ?? [:]
        for key in root.keys where !keys.contains(key) {
            fail(JSONPointer([key]), "is no key of a prompt; known are \(keys.joined(separator: ", "))")
        }
        var prompt = JSONObject()
        for key in ["user", "system"] {
            guard let value = root[key], !value.isNull, value.string != "" else { continue }
            if value.string == nil { fail(JSONPointer([key]), "must be a text") }
            prompt[key] = value
        }
        if prompt["user"] == nil { fail(JSONPointer(["user"]), "is missing: the user's turn, with {field} for the fields of a record") }
        if let examples = root["few_shot_examples"], !examples.isNull {
            let place = JSONPointer(["few_shot_examples"])
            let members = examples.object ?? [:]
            if examples.object == nil { fail(place, "must be a mapping") }
            for key in members.keys where !exampleKeys.contains(key) {
                fail(place / key, "is none of \(exampleKeys.joined(separator: ", "))")
            }
            if let type = members["examples_type"], !type.isNull, members["examples"]?.array == nil {
                fail(place / "examples_type", "names examples that are no part of this file; write them out under 'examples'")
            }
            // A template without examples is how NeMo-Skills' own files are; the place of the examples then stays empty.
            if let list = members["examples"]?.array, !list.isEmpty {
                if members["template"]?.string == nil { fail(place / "template", "is missing") }
                if !list.allSatisfy({ $0.object != nil }) { fail(place / "examples", "must be a list of mappings") }
                prompt["few_shot_examples"] = .object(
                    members.filter { $0.key != "examples_type" && !$0.value.isNull && $0.value.string != "" })
            }
        }
        return errors.isEmpty ? .success(prompt) : .failure(SpecErrors(errors))
    }
}
