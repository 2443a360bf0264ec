import Domain
import JSON

/// What must hold between several keys of a job. Values of a wrong type are passed over: they were reported before.
struct KindRules {
    let body: JSONObject
    let resources: ResourceRequest
    let check: SchemaCheck

    func check(_ kind: JobKind) {
        checkResources()
        checkStall()
        checkAlerts()
        switch kind {
        case .command: checkCommand()
        case .prepare: checkPrepare()
        case .train: checkTrain()
        case .convert: checkConvert()
        case .evaluate: checkEvaluate()
        case .generate: checkGenerate()
        case .serve: checkServe()
        case .search: break
        }
    }

    private func checkCommand() {
        let path = JSONPointer(["outputs"])
        var seen: Set<String> = []
        for (index, name) in (body["outputs"]?.array ?? []).enumerated() {
            guard let name = name.string, !seen.insert(name).inserted else { continue }
            check.fail(.conflict, path / index, "the output '\(name)' stands twice")
        }
        if case .array(let arguments)? = body["command"], arguments.first?.string == "" {
            check.fail(.badValue, JSONPointer(["command", "0"]), "names no program")
        }
    }

    private func checkConvert() {
        let path = JSONPointer(["create"])
        let create = body["create"]
        guard let hidden = create?["hidden_size"]?.int, let heads = create?["num_attention_heads"]?.int, hidden > 0, heads > 0 else {
            return
        }
        if hidden % heads != 0 {
            check.fail(.conflict, path / "hidden_size", "\(hidden) is not a multiple of num_attention_heads, \(heads)")
        } else if hidden / heads % 2 != 0 {
            check.fail(
                .conflict, path / "hidden_size",
                "\(hidden) / \(heads) heads gives heads of the odd size \(hidden / heads); rotary embeddings need an even one")
        }
        if let keyValue = create?["num_key_value_heads"]?.int, keyValue > 0, heads % keyValue != 0 {
            check.fail(.conflict, path / "num_key_value_heads", "num_attention_heads, \(heads), is not a multiple of \(keyValue)")
        }
    }
}
