import JSON

/// Moves right answers between the five choices so that each choice is right equally often.
///
/// Without it a model can learn which position is likely instead of what is true.
struct LabelRebalancing {
    let seed: Int
    /// True for the original's behaviour: records without an answer take a share of the targets.
    let isOriginal: Bool

    /// Rebalances the questions of `table` in place and tells `log` the counts before, the targets and the counts after.
    func apply(to table: inout RecordTable, log: (String) -> Void) throws {
        var random = MersenneTwister(seed: seed)
        let slots = JCommonsenseQA.choiceKeys.count
        var before = LabelCounts()
        var positions: [Int] = []
        for index in 0..<table.count {
            guard let label = table.label(at: index) else { throw unusable(table.line(at: index), "'jcqa_data' is no object") }
            if !label.isEmpty { before.add(label) }
            if isOriginal || !label.isEmpty { positions.append(index) }
        }
        log("label counts before rebalancing: \(before)")
        guard !positions.isEmpty else { return log("no jcqa records to rebalance") }
        let targets = (0..<slots).map { positions.count / slots + ($0 < positions.count % slots ? 1 : 0) }
        log("target counts: \(Self.text(targets))")
        random.shuffle(&positions)
        var current = [Int](repeating: 0, count: slots)
        for position in positions {
            let available = (0..<slots).filter { current[$0] < targets[$0] }
            let target = random.choice(available.isEmpty ? Array(0..<slots) : available)
            current[target] += 1
            try rebalance(position, in: &table, target: target, using: &random)
        }
        log("label counts after rebalancing: \(Self.text(current))")
    }

    private func rebalance(_ position: Int, in table: inout RecordTable, target: Int, using random: inout MersenneTwister) throws {
        guard case .object(var record) = try table.record(at: position), case .object(var data)? = record["jcqa_data"] else { return }
        // Only the original's mode lets records without an answer come here.
        guard let index = data["answer_index"], !index.isNull else { return }
        let choices = JCommonsenseQA.choiceKeys.map { data[$0] ?? "" }
        guard let right = index.int, choices.indices.contains(right) else {
            throw unusable(table.line(at: position), "'answer_index' is \(index), not a number from 0 to \(choices.count - 1)")
        }
        var others = choices
        let answer = others.remove(at: right)
        random.shuffle(&others)
        others.insert(answer, at: target)
        for (key, choice) in zip(JCommonsenseQA.choiceKeys, others) { data[key] = choice }
        data["answer_index"] = .int(Int64(target))
        record["jcqa_data"] = .object(data)
        table.replace(at: position, with: .object(record))
    }

    /// The original program fails on such a record; in the standard mode it was left out before.
    private func unusable(_ line: Int, _ detail: String) -> DatasetError {
        DatasetError(
            .badData, "line \(line): \(detail); the original program fails on this record too",
            issues: [DatasetIssue(line: line, pointer: "/jcqa_data", detail: detail)])
    }

    private static func text(_ counts: [Int]) -> String {
        "{" + counts.enumerated().map { "'\($0.offset)': \($0.element)" }.joined(separator: ", ") + "}"
    }
}
