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

    @Test(arguments: ["", "0.5", "=> 0.5", ">= ", ">= baseline /2", ">= baseline +", ">= base", ">= nan", ">= baseline + inf", "!= 1"])
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
