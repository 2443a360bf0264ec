import JSON
import Testing

@testable import Evaluation

@Suite struct GateTests {
    @Test(arguments: [
        (">= 0.5", 0.5, true), ("> 0.5", 0.5, false), ("<= 0.5", 0.5, true), ("< 0.5", 0.4, true), ("== 0.5", 0.5000000000001, true),
        ("==0.5", 0.51, false),
        (">= baseline + 0.02", 0.32, true), (">= baseline + 0.02", 0.319, false), (">=baseline*2", 0.6, true),
        ("> baseline - 0.1", 0.21, true),
        (">= baseline", 0.3, true), ("> baseline", 0.3, false), ("  >=   baseline  +  2e-2 ", 0.33, true), (">= -1", 0, true),
    ])
    func conditionsHoldAsWritten(text: String, value: Double, isMet: Bool) throws {
        let condition = try MetricCondition(text)
        #expect(condition.isMet(by: value, limit: try #require(condition.limit(baseline: 0.3))) == isMet)
    }

    @Test(arguments: [
        "", "0.5", "=> 0.5", ">= ", ">= baseline /2", ">= baseline +", ">= base", ">= nan", ">= baseline + inf", "!= 1",
        ">= 0.5 at", ">= 0.5 at 95", "== 0.5 at 95%", ">= baseline at 100%", ">= 0.5 at 20%", "not 0.5", "not", "> baseline at x%",
    ])
    func otherTextsAreRefusedWithAnExample(text: String) throws {
        let error = try #require(throws: MetricCondition.SyntaxError.self) { try MetricCondition(text) }
        #expect(error.description.contains(">= baseline + 0.02"))
    }

    @Test func aMissedGateSaysByHowMuch() throws {
        let gate = try Gate(json: ["accuracy": ">= baseline + 0.5"])
        let outcome = try gate.outcome(
            benchmarks: PairedComparisonTests.document([1, 0]).benchmarks, baseline: PairedComparisonTests.document([0, 0, 1, 1]))
        #expect(!outcome.passed)
        #expect(outcome.checks == [.init(metric: "accuracy", condition: ">= baseline + 0.5", value: 0.5, limit: 1, passed: false)])
        #expect(outcome.json["passed"] == false)
    }

    @Test(arguments: [
        ("not < 0.5", 0.5, true), ("not < 0.5", 0.4, false), ("not >= baseline + 0.1", 0.39, true), ("not >= baseline + 0.1", 0.4, false),
    ])
    func aNegatedConditionHoldsWhereItsComparisonDoesNot(text: String, value: Double, isMet: Bool) throws {
        let condition = try MetricCondition(text)
        #expect(condition.isMet(by: value, limit: try #require(condition.limit(baseline: 0.3))) == isMet)
    }

    private static func outcome(_ condition: String, _ candidate: [Double], _ base: [Double]) throws -> GateOutcome.Check {
        let gate = try Gate(json: ["accuracy": .string(condition)])
        return try gate.outcome(
            benchmarks: PairedComparisonTests.document(candidate).benchmarks, baseline: PairedComparisonTests.document(base)
        ).checks[0]
    }

    /// Against paired differences counted by hand: 20 items of which five got better and one worse.
    @Test func aConditionBySignificanceLooksAtTheWholeInterval() throws {
        let base = (0..<20).map { $0 < 10 ? 1.0 : 0 }
        let candidate = (0..<20).map { $0 == 0 ? 0 : $0 < 15 ? 1.0 : 0 }
        let paired = try #require(PairedComparison(base: base, candidate: candidate))
        let interval = try #require(paired.interval)
        let check = try Self.outcome("> baseline at 95%", candidate, base)
        #expect(check.interval.map { abs($0.lowerBound - (0.5 + interval.lowerBound)) < 1e-12 } == true)
        #expect(check.passed == (interval.lowerBound > 0) && !check.passed)
        #expect(try Self.outcome("> baseline at 90%", candidate, base).passed == ((paired.probability ?? 1) < 0.1))
        #expect(try Self.outcome("not < baseline at 95%", candidate, base).passed)
        #expect(try Self.outcome("not < baseline at 95%", base, candidate).passed)
        #expect(try Self.outcome(">= baseline - 0.3 at 95%", candidate, base).passed)
        #expect(try !Self.outcome(">= baseline", base, candidate).passed)
    }

    @Test func whatIsWorseBeyondChanceMissesANegatedGate() throws {
        let base = Array(repeating: 1.0, count: 30)
        let worse = (0..<30).map { $0 % 3 == 0 ? 0.0 : 1 }
        #expect(try !Self.outcome("not < baseline at 95%", worse, base).passed)
        #expect(try Self.outcome("not < baseline * 0.5 at 95%", worse, base).passed)
        #expect(try Self.outcome("< 0.9 at 95%", worse, base).passed)
        #expect(try !Self.outcome("< 0.8 at 99.9%", worse, base).passed)
        #expect(try Self.outcome("> 0.4 at 95%", [1], [1]).passed == false)
    }

    @Test func otherMetricsAreHeldAgainstTheirStandardErrors() throws {
        func document(_ value: Double, _ error: Double) -> EvaluationDocument {
            var document = PairedComparisonTests.document([1, 0])
            document.benchmarks[0].metrics.append((name: "pass@2", metric: MetricValue(value: value, standardError: error)))
            return document
        }
        func passes(_ condition: String, _ value: Double) throws -> Bool {
            try Gate(json: ["pass@2": .string(condition)]).outcome(
                benchmarks: document(value, 0.03).benchmarks, baseline: document(0.5, 0.04)
            )
            .passed
        }
        // √(0.03² + 0.04²) = 0.05, and 1.96 of them are 0.098.
        #expect(try passes("> baseline at 95%", 0.599) && !passes("> baseline at 95%", 0.597))
        #expect(try passes("> 0.5 at 95%", 0.559) && !passes("> 0.5 at 95%", 0.558))
        #expect(try !Gate(json: ["gen_seconds": "> 1 at 95%"]).outcome(benchmarks: document(1, 1).benchmarks, baseline: nil).passed)
    }

    @Test func withSeveralBenchmarksEachMustPass() throws {
        var document = PairedComparisonTests.document([1, 1])
        document.benchmarks += PairedComparisonTests.document([0, 1], name: "c").benchmarks
        let outcome = try Gate(json: ["accuracy": ">= 0.9", "b/accuracy": "== 1"]).outcome(benchmarks: document.benchmarks, baseline: nil)
        #expect(outcome.checks.map(\.metric) == ["b/accuracy", "c/accuracy", "b/accuracy"])
        #expect(outcome.checks.map(\.passed) == [true, false, true])
    }

    private static let impossible: [(JSONValue, String)] = [
        (["accurracy": ">= 0.5"], "not measured"), (["pass@4": ">= 0.5"], "not measured"), (["x/accuracy": ">= 0.5"], "names no benchmark"),
        (["accuracy": "baseline"], "no condition"), (["accuracy": 0.5], "a condition is a text"), ([], "a gate is a map"),
        (["pass@2": ">= baseline"], "the baseline has no 'pass@2'"),
    ]

    @Test(arguments: impossible)
    func whatCannotBeCheckedIsRefusedBeforeAnyWork(json: JSONValue, message: String) throws {
        let error = try #require(throws: Gate.RuleError.self) {
            let gate = try Gate(json: json)
            try gate.check(plans: [.init(name: "b", samples: 2, datasetSHA256: "s")], baseline: PairedComparisonTests.document([1]))
        }
        #expect(error.description.contains(message))
    }

    @Test func aBaselineMustBeThereAndOnTheSameData() throws {
        let gate = try Gate(json: ["accuracy": ">= baseline"])
        let plans = [Gate.Plan(name: "b", samples: 1, datasetSHA256: "s")]
        #expect(throws: Gate.RuleError.self) { try gate.check(plans: plans, baseline: nil) }
        #expect(throws: Gate.RuleError.self) { try gate.check(plans: plans, baseline: PairedComparisonTests.document([1], sha256: "x")) }
        try gate.check(plans: plans, baseline: PairedComparisonTests.document([1]))
    }
}
