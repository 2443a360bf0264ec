import Domain
import JSON

/// What must hold between several keys of a job. Values of a wrong type are passed over: they were reported before.
struct KindRules {
    let body: JSONObject
    let resources: ResourceRequest
    let check: SchemaCheck

    func check(_ kind: JobKind) {
        checkResources()
        checkNodes(kind)
        checkStall()
        checkAlerts()
        switch kind {
        case .command: checkCommand()
        case .prepare: checkPrepare()
        case .train: if body["engine"]?.string == NemoRLEngine.name { checkNemoRL() } else { checkTrain() }
        case .convert: checkConvert()
        case .evaluate: checkEvaluate()
        case .generate: checkGenerate()
        case .serve: checkServe()
        case .search: break
        }
    }

    /// Of several nodes each runs the worker, which must know what to do with that.
    private func checkNodes(_ kind: JobKind) {
        let path = JSONPointer(["resources", "nodes"])
        guard resources.nodes > 1, kind != .command else { return }
        if kind != .train {
            check.fail(.conflict, path, "a job of kind \(kind.rawValue) runs on one node; 'command' and 'train' can use several")
        } else if body["engine"]?.string == NemoRLEngine.name {
            check.fail(
                .conflict, path,
                "NeMo RL needs a Ray cluster for several nodes, which is not started here: ask for one node, or start it in a 'command'")
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
}
