import JSON

/// The conditions that an evaluation must meet.
public struct Gate: Sendable, Equatable {
    /// A metric, in all benchmarks or in one.
    public struct Rule: Sendable, Equatable {
        /// As written: `accuracy`, `pass@8`, or `<benchmark>/<metric>`.
        public var key: String
        public var condition: MetricCondition

        public init(key: String, condition: MetricCondition) {
            self.key = key
            self.condition = condition
        }
    }

    /// Why a gate cannot be applied.
    public struct RuleError: Error, Sendable, Equatable, CustomStringConvertible {
        /// The rule's key.
        public var key: String
        public var description: String
    }

    public var rules: [Rule]

    public init(rules: [Rule]) { self.rules = rules }

    /// Reads a map of metric names to conditions; the error names the first that is wrong.
    public init(json: JSONValue) throws(RuleError) {
        guard let members = json.object else { throw RuleError(key: "", description: "a gate is a map of metric names to conditions") }
        rules = []
        for (key, value) in members {
            guard let text = value.string else { throw RuleError(key: key, description: "a condition is a text such as '>= 0.9'") }
            do throws(MetricCondition.SyntaxError) {
                rules.append(Rule(key: key, condition: try MetricCondition(text)))
            } catch {
                throw RuleError(key: key, description: error.description)
            }
        }
    }

    /// A benchmark and a metric of it that a rule looks at.
    private struct Target {
        var benchmark: String
        var metric: String
    }

    /// What a rule looks at: without a benchmark in its key, the metric of every benchmark.
    private func targets(of rule: Rule, benchmarks: [String]) throws(RuleError) -> [Target] {
        // The longest name first, so that a benchmark whose name holds a slash is found too.
        for name in benchmarks.sorted(by: { $0.count > $1.count }) where rule.key.hasPrefix(name + "/") {
            return [Target(benchmark: name, metric: String(rule.key.dropFirst(name.count + 1)))]
        }
        if rule.key.contains("/") {
            let known = benchmarks.joined(separator: ", ")
            throw RuleError(key: rule.key, description: "'\(rule.key)' names no benchmark of this evaluation (\(known))")
        }
        return benchmarks.map { Target(benchmark: $0, metric: rule.key) }
    }

    /// A benchmark that is about to be measured.
    public struct Plan: Sendable {
        public var name: String
        public var samples: Int
        public var datasetSHA256: String

        public init(name: String, samples: Int, datasetSHA256: String) {
            self.name = name
            self.samples = samples
            self.datasetSHA256 = datasetSHA256
        }
    }

    /// Finds before any work whether the rules can be applied to `plans` and `baseline`.
    public func check(plans: [Plan], baseline: EvaluationDocument?) throws(RuleError) {
        for rule in rules {
            for target in try targets(of: rule, benchmarks: plans.map(\.name)) {
                guard let plan = plans.first(where: { $0.name == target.benchmark }) else { continue }
                guard Self.isMeasured(target.metric, samples: plan.samples) else {
                    let detail = "'\(target.metric)' is not measured with \(plan.samples) samples"
                    throw RuleError(
                        key: rule.key, description: "\(detail); known are accuracy, no_answer, avg_tokens, truncated, pass@k, majority@k")
                }
                guard rule.condition.usesBaseline else { continue }
                guard let baseline else { throw RuleError(key: rule.key, description: "'baseline' needs 'compare_to'") }
                guard let other = baseline.benchmark(target.benchmark) else {
                    throw RuleError(key: rule.key, description: "the baseline has no benchmark '\(target.benchmark)'")
                }
                guard other.dataset.sha256 == plan.datasetSHA256 else {
                    throw RuleError(key: rule.key, description: "the baseline measured '\(target.benchmark)' on other data")
                }
                guard other.metric(target.metric) != nil else {
                    throw RuleError(key: rule.key, description: "the baseline has no '\(target.metric)' for '\(target.benchmark)'")
                }
            }
        }
    }

    private static func isMeasured(_ metric: String, samples: Int) -> Bool {
        if ["accuracy", "no_answer", "avg_tokens", "truncated", "gen_seconds", "judge_consistency"].contains(metric) { return true }
        let parts = metric.split(separator: "@", omittingEmptySubsequences: false)
        guard samples > 1, parts.count == 2, let k = Int(parts[1]), (1...samples).contains(k) else { return false }
        return parts[0] == "pass" || parts[0] == "majority" || (parts[0] == "no_answer" && k == samples)
    }

    /// Holds `benchmarks` against the rules.
    public func outcome(benchmarks: [EvaluationDocument.Benchmark], baseline: EvaluationDocument?) throws(RuleError) -> GateOutcome {
        var checks: [GateOutcome.Check] = []
        for rule in rules {
            for target in try targets(of: rule, benchmarks: benchmarks.map(\.name)) {
                let measured = benchmarks.first { $0.name == target.benchmark }
                let base = baseline?.benchmark(target.benchmark)
                let value = measured?.metric(target.metric)?.value
                let limit = rule.condition.limit(baseline: base?.metric(target.metric)?.value)
                var interval: ClosedRange<Double>?
                var passed = false
                if let measured, let value, let limit {
                    if let confidence = rule.condition.confidence {
                        interval = GateInterval.of(target.metric, measured, base, rule.condition, confidence)
                        passed = interval.map { rule.condition.isMet(in: $0, limit: limit) } ?? false
                    } else {
                        passed = rule.condition.isMet(by: value, limit: limit)
                    }
                }
                let name = benchmarks.count > 1 ? "\(target.benchmark)/\(target.metric)" : rule.key
                checks.append(
                    .init(
                        metric: name, condition: rule.condition.description, value: value, limit: limit, interval: interval,
                        passed: passed))
            }
        }
        return GateOutcome(checks: checks)
    }
}

/// The interval that a condition by significance looks at.
private enum GateInterval {
    /// The confidence interval of a metric, moved so that it can be held against the limit.
    ///
    /// Against a baseline, accuracy is paired: the interval of the mean of candidate − factor · baseline over the items, by Student's t.
    /// Other metrics have no value for each item in a document; theirs is value ± z · √(s² + factor² · s₀²) with both standard errors,
    /// wider than a paired one where items are hard for both. `nil` for fewer than two items.
    static func of(
        _ metric: String, _ measured: EvaluationDocument.Benchmark, _ base: EvaluationDocument.Benchmark?, _ condition: MetricCondition,
        _ confidence: Double
    ) -> ClosedRange<Double>? {
        let factor = condition.usesBaseline ? condition.line.factor : 0
        if metric == "accuracy" {
            guard condition.usesBaseline else { return PairedComparison.interval(ofMean: measured.itemScores, confidence: confidence) }
            guard let base else { return nil }
            let count = min(measured.itemScores.count, base.itemScores.count)
            let old = Array(base.itemScores.prefix(count))
            let differences = zip(measured.itemScores, old).map { $0 - factor * $1 }
            guard let interval = PairedComparison.interval(ofMean: differences, confidence: confidence) else { return nil }
            let shift = factor * (base.metric(metric)?.value ?? Sums.mean(old))
            return (interval.lowerBound + shift)...(interval.upperBound + shift)
        }
        guard let value = measured.metric(metric), let error = value.standardError else { return nil }
        var variance = error * error
        if condition.usesBaseline {
            guard let old = base?.metric(metric)?.standardError else { return nil }
            variance += factor * factor * old * old
        }
        // So many degrees of freedom make the normal distribution of Student's.
        let reach = StudentDistribution.twoSidedQuantile(confidence, degrees: 1e9) * variance.squareRoot()
        return (value.value - reach)...(value.value + reach)
    }
}

/// What became of a gate.
public struct GateOutcome: Sendable, Equatable {
    /// One condition of a gate and how it came out.
    public struct Check: Sendable, Equatable {
        public var metric: String
        public var condition: String
        /// `nil` where the metric could not be measured, which fails the check.
        public var value: Double?
        public var limit: Double?
        /// For a condition by significance: the interval that was held against the limit.
        public var interval: ClosedRange<Double>?
        public var passed: Bool
    }

    public var checks: [Check]
    public var passed: Bool { checks.allSatisfy(\.passed) }

    public init(checks: [Check]) { self.checks = checks }

    init?(json: JSONValue) {
        guard let checks = json["checks"]?.array else { return nil }
        self.checks = checks.map { check in
            Check(
                metric: check["metric"]?.string ?? "", condition: check["condition"]?.string ?? "", value: check["value"]?.double,
                limit: check["limit"]?.double, interval: Self.interval(check["interval"]), passed: check["passed"]?.bool ?? false)
        }
    }

    private static func interval(_ json: JSONValue?) -> ClosedRange<Double>? {
        guard let low = json?[0]?.double, let high = json?[1]?.double, low <= high else { return nil }
        return low...high
    }

    public var json: JSONValue {
        [
            "passed": .bool(passed),
            "checks": .array(
                checks.map { check in
                    var members: JSONObject = [
                        "metric": .string(check.metric), "condition": .string(check.condition),
                        "value": check.value.map { .double($0) } ?? .null,
                        "limit": check.limit.map { .double($0) } ?? .null, "passed": .bool(check.passed),
                    ]
                    if let interval = check.interval { members["interval"] = [.double(interval.lowerBound), .double(interval.upperBound)] }
                    return .object(members)
                }),
        ]
    }
}
