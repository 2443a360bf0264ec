import Domain
import JSON

// What must hold between the keys that every job has.
extension KindRules {
    func checkResources() {
        let path = JSONPointer(["resources"])
        guard let asked = body["resources"]?.object, asked["any_of"] != nil else { return }
        for key in ["gpus", "gpu_memory", "model"] where asked[key] != nil {
            check.fail(.conflict, path / key, "stands beside any_of; say it in each of its entries", atKey: true)
        }
    }

    func checkAlerts() {
        for (index, alert) in (body["alerts"]?.array ?? []).enumerated() {
            guard let text = alert["when"]?.string, AlertRule(text) == nil else { continue }
            check.fail(
                .conflict, JSONPointer(["alerts", String(index), "when"]),
                "cannot be read; write 'train/loss > 10 for 3', 'KEY < KEY for 50', 'KEY is nan', 'stalled' or 'gpu_idle > 20m'")
        }
    }

    func checkStall() {
        guard let members = body["stall"]?.object else { return }
        let least = members["least"].flatMap(Quantity.duration) ?? StallPolicy().least
        let most = members["most"].flatMap(Quantity.duration) ?? StallPolicy().most
        if least > most { check.fail(.conflict, JSONPointer(["stall", "least"]), "is longer than 'most'") }
    }
}

extension SchemaCheck {
    /// Checks `resources` or an entry of its `any_of`. A key that is like a known one is a slip; any other with a whole number is a counter.
    mutating func checkResources(_ value: inout JSONValue, _ table: [ParameterSchema], at path: JSONPointer) {
        guard case .object(let members) = value else { return }
        let names = table.map(\.name)
        let counters = members.filter { key, units in
            guard !names.contains(key), NameRule.job.matches(key), Spelling.suggestion(for: key, among: names).isEmpty else { return false }
            return units.int.map { (0...1_000_000).contains($0) } ?? false
        }
        var known = JSONValue.object(members.filter { counters[$0.key] == nil })
        checkObject(&known, table, at: path)
        value = .object((known.object ?? [:]).merging(counters) { first, _ in first })
    }
}
