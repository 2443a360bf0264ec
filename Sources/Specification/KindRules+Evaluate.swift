import JSON

extension KindRules {
    func checkEvaluate() {
        checkEveryCheckpoint()
        checkServer(body["server"], at: JSONPointer(["server"]), urlKeys: ["model", "api_key_env"])
        checkServedModel()
        let benchmarks = body["benchmarks"]?.array ?? []
        if body["server"] == nil, benchmarks.contains(where: { $0["dataset"] != nil }) {
            check.fail(.required, JSONPointer(), "'server' is missing, and a benchmark with 'dataset' asks a model", atKey: true)
        }
        var names: Set<String> = []
        for (index, benchmark) in benchmarks.enumerated() {
            let path = JSONPointer(["benchmarks"]) / index
            if let name = benchmark["name"]?.string, !names.insert(name).inserted {
                check.fail(.conflict, path / "name", "two benchmarks are named '\(name)'")
            }
            if let samples = benchmark["samples"]?.int, samples > 1, benchmark["temperature"]?.double == 0 {
                check.fail(
                    .conflict, path / "temperature", "\(samples) samples at temperature 0 are the same answer; raise it or take one sample")
            }
            checkSource(benchmark, at: path)
            checkGrading(benchmark, at: path)
        }
        checkGate(benchmarks, names: names)
    }

    /// Keys of a benchmark that say how a model is asked.
    private static let askingKeys = ["prompt", "system", "max_tokens", "temperature", "top_p", "stop"]

    private func checkSource(_ benchmark: JSONValue, at path: JSONPointer) {
        guard let members = benchmark.object else { return }
        guard let generations = members["generations"] else {
            if members["dataset"] == nil {
                check.fail(
                    .required, path, "names neither 'dataset', to ask a model, nor 'generations', to grade what was generated", atKey: true)
            }
            if members["response"] != nil { check.fail(.conflict, path / "response", "stands only with 'generations'", atKey: true) }
            return
        }
        if members["dataset"] != nil {
            check.fail(.conflict, path / "dataset", "stands beside 'generations', which hold the questions", atKey: true)
        }
        for key in Self.askingKeys where members[key] != nil {
            check.fail(.conflict, path / key, "says how a model is asked, and 'generations' asks none", atKey: true)
        }
        if generations.array != nil, members["samples"] != nil {
            check.fail(.conflict, path / "samples", "each of several files of generations is a sample", atKey: true)
        }
    }

    /// The keys of 'grading' that mean something to one grader alone.
    private static let gradingKeys = [
        "modulo": "math", "path": "json", "compare": "json", "command": "command", "timeout": "command", "judge": "judge",
    ]

    private func checkGrading(_ benchmark: JSONValue, at path: JSONPointer) {
        let grader = benchmark["grader"]?.string ?? "exact"
        let grading = benchmark["grading"]?.object ?? [:]
        for key in grading.keys {
            guard let only = Self.gradingKeys[key], only != grader else { continue }
            check.fail(.conflict, path / "grading" / key, "stands only with the grader '\(only)'", atKey: true)
        }
        if ["command", "judge"].contains(grader), grading[grader] == nil {
            check.fail(.required, path / "grader", "the grader '\(grader)' needs 'grading: {\(grader): …}'")
        }
        if let answer = grading["answer"]?.string, answer != "pattern", grading["pattern"] != nil {
            check.fail(.conflict, path / "grading" / "pattern", "stands only with 'answer: pattern', which may be left out", atKey: true)
        }
        // Only whether it is one matters here; the worker tells what is wrong with it.
        if let pattern = grading["pattern"]?.string, (try? Regex(pattern)) == nil {
            check.fail(.badValue, path / "grading" / "pattern", "'\(pattern)' is no regular expression")
        }
        if let pointer = grading["path"]?.string, JSONPointer(text: pointer) == nil {
            check.fail(.badValue, path / "grading" / "path", "'\(pointer)' is no JSON pointer such as /answer")
        }
        checkJudgeServer(grading["judge"], at: path / "grading" / "judge")
    }

    private func checkGate(_ benchmarks: [JSONValue], names: Set<String>) {
        guard case .object(let gate)? = body["gate"] else { return }
        if gate.isEmpty { check.fail(.badValue, JSONPointer(["gate"]), "must name at least one metric") }
        let allNamed = names.count == benchmarks.count
        for (metric, condition) in gate {
            let path = JSONPointer(["gate", metric])
            var name = metric
            var concerned = benchmarks
            if let slash = metric.lastIndex(of: "/") {
                name = String(metric[metric.index(after: slash)...])
                let benchmark = String(metric[..<slash])
                // Benchmarks without a name get one from their data, which only the run knows.
                if allNamed, !names.contains(benchmark) {
                    let hint = Spelling.suggestion(for: benchmark, among: names.sorted())
                    check.fail(.unknownName, path, "there is no benchmark '\(benchmark)'\(hint)", atKey: true)
                }
                let named = benchmarks.filter { $0["name"]?.string == benchmark }
                if !named.isEmpty { concerned = named }
            }
            checkMetric(name, samplesMax: concerned.map { $0["samples"]?.int ?? 1 }.max() ?? 1, path)
            checkCondition(condition, path)
        }
    }

    private func checkMetric(_ name: String, samplesMax: Int, _ path: JSONPointer) {
        let plain = ["accuracy", "no_answer", "avg_tokens", "truncated", "gen_seconds", "judge_consistency"]
        if plain.contains(name) { return }
        let parts = name.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, ["pass", "majority", "no_answer"].contains(parts[0]), let count = Int(parts[1]), count > 0 else {
            let hint = Spelling.suggestion(for: name, among: plain + ["pass@1", "majority@1"])
            check.fail(
                .unknownName, path, "there is no metric '\(name)'\(hint); known: \(plain.joined(separator: ", ")), pass@k, majority@k",
                atKey: true)
            return
        }
        if count > samplesMax {
            check.fail(.conflict, path, "'\(name)' needs \(count) samples of each question; the benchmark takes \(samplesMax)", atKey: true)
        }
    }

    private func checkCondition(_ value: JSONValue, _ path: JSONPointer) {
        guard let text = value.string else { return }
        guard let condition = GateCondition(text) else {
            check.fail(
                .badValue, path,
                "'\(text)' is no condition; write '>= 0.5', '>= baseline + 0.02' or 'not < baseline at 95%' "
                    + "(one of >= > <= < ==, then a number or baseline, then 'at' and a level)")
            return
        }
        if condition.needsBaseline, body["compare_to"] == nil {
            check.fail(.conflict, path, "speaks of a baseline: give 'compare_to'")
        }
    }
}
