import JSON

extension KindRules {
    /// What is known of the records between two steps.
    private enum Shape: String {
        case unknown, jcqa, messages, preference
        case inputOutput = "input_output"
    }

    func checkPrepare() {
        checkSource()
        var shape = startShape
        let path = JSONPointer(["steps"])
        let steps = body["steps"]?.array ?? []
        for (index, step) in steps.enumerated() {
            guard let name = step.object?.keys.first else { continue }
            let place = path / index / name
            switch name {
            case "jcqa_rebalance": shape = advance(shape, from: .jcqa, to: .jcqa, place)
            case "jcqa_messages": shape = advance(shape, from: .jcqa, to: .messages, place)
            case "to_messages": shape = advance(shape, from: .inputOutput, to: .messages, place)
            case "split":
                if index != steps.count - 1 { check.fail(.conflict, place, "'split' must be the last step", atKey: true) }
                checkSplit(step[name], place)
            default: break
            }
        }
        checkCompat(steps)
    }

    private func checkSource() {
        guard case .object(let source)? = body["source"] else { return }
        let path = JSONPointer(["source"])
        let kinds = ["file", "dataset", "url", "generator"]
        let given = kinds.filter { source[$0] != nil }
        if given.isEmpty {
            check.fail(.required, path, "names no source: give one of \(kinds.joined(separator: ", "))", atKey: true)
        } else if given.count > 1 {
            check.fail(.conflict, path, "names several sources (\(given.joined(separator: ", "))); give one of them", atKey: true)
        }
        if source["sha256"] != nil, source["url"] == nil { check.fail(.conflict, path / "sha256", "stands only with 'url'", atKey: true) }
        if source["generator"] != nil, let format = body["format"]?.string, format != "auto",
            format != source["generator"]?["format"]?.string ?? "messages"
        {
            check.fail(.conflict, JSONPointer(["format"]), "differs from the generator's format; leave it out")
        }
    }

    private var startShape: Shape {
        let generated = body["source"]?["generator"].map { $0["format"]?.string ?? "messages" }
        return (generated ?? body["format"]?.string).flatMap(Shape.init) ?? .unknown
    }

    private func advance(_ shape: Shape, from needed: Shape, to next: Shape, _ place: JSONPointer) -> Shape {
        if shape != .unknown, shape != needed {
            check.fail(.conflict, place, "needs \(needed.rawValue) records; at this point they are \(shape.rawValue)", atKey: true)
        }
        return next
    }

    private func checkSplit(_ split: JSONValue?, _ place: JSONPointer) {
        let parts = ["train", "validation", "test"].compactMap { split?[$0] }
        let fractions = parts.compactMap { part in if case .double(let number) = part { number } else { nil } }
        guard fractions.count == parts.count else {
            if !fractions.isEmpty {
                check.fail(.conflict, place, "mixes shares and numbers of records; give all as shares or all as numbers")
            }
            return
        }
        // Shares such as 0.7 + 0.2 + 0.1 add up to a little more than 1 in binary.
        let sum = fractions.reduce(0, +)
        if sum > 1 + 1e-9 { check.fail(.conflict, place, "the shares add up to \(sum); they must not exceed 1") }
    }

    private func checkCompat(_ steps: [JSONValue]) {
        guard body["compat"]?.string == "seed" else { return }
        let path = JSONPointer(["compat"])
        let names = steps.compactMap { $0.object?.keys.first }
        let allowed = ["jcqa_rebalance", "jcqa_messages", "split"]
        if let other = names.first(where: { !allowed.contains($0) }) {
            check.fail(.conflict, path, "reproduces only the steps \(allowed.joined(separator: ", ")), not '\(other)'")
        } else if !names.contains("jcqa_rebalance"), !names.contains("jcqa_messages") {
            check.fail(.conflict, path, "reproduces the jcqa steps, and the job has none")
        }
    }
}
