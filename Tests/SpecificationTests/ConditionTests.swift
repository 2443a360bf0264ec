import Domain
import JSON
import Testing

@testable import Specification

@Suite struct ConditionTests {
    private let states: [String: JobState] = ["a": .succeeded, "b": .failed, "c-1": .skipped]
    private let values: [String: JSONValue] = [
        "a accuracy": 0.75, "a pass@8": 0.9, "a arithmetic/accuracy": 0.5, "a count": 3, "a note": "good", "a flag": true,
        "a nan": .double(.nan),
        "a val.loss": 1.5,
    ]

    private func holds(_ text: String, needs: [JobState] = [.succeeded]) throws -> Bool {
        let (states, values) = (states, values)
        return try Condition(text).evaluate(needs: needs, state: { states[$0] }, value: { values["\($0) \($1)"] })
    }

    @Test(
        arguments: [
            ("true", true), ("false", false), ("not false", true), ("not not true", true), ("always()", true), ("success()", true),
            ("failure()", false),
            ("a.accuracy >= 0.75", true), ("a.accuracy > 0.75", false), ("a.accuracy<1", true), ("0.5 < a.accuracy", true),
            ("a.count == 3", true),
            ("a.count != 3.0", false), ("a.pass@8 >= 9e-1", true), ("a.arithmetic/accuracy <= .5", true), ("a.val.loss < 2", true),
            ("a.state == 'succeeded'", true),
            ("b.state == \"failed\"", true), ("b.state != \"failed\"", false), ("c-1.state == 'skipped'", true), ("a.note == 'good'", true),
            ("a.flag == 'true'", true), ("a.note != 3", true), ("a.note == 3", false), ("a.note < 'hood'", true), ("a.nan == a.nan", false),
            ("a.nan != 1", true),
            ("a.missing == 1", false), ("a.missing != 1", false), ("not a.missing == 1", true), ("z.state == 'failed'", false),
            ("1 == 1", true), ("-1 < +1", true),
            ("true or false and false", true), ("(true or false) and false", false), ("not true or true", true),
            ("not (true or true)", false),
            ("a.accuracy >= 0.7 and b.state == 'failed' or false", true),
        ] as [(String, Bool)])
    func expressionsAreJudged(_ text: String, _ expected: Bool) throws {
        #expect(try holds(text) == expected)
    }

    @Test func withoutAWordOnOutcomesAllNeedsMustHaveSucceeded() throws {
        #expect(try !holds("true", needs: [.succeeded, .failed]))
        #expect(try !holds("a.accuracy > 0", needs: [.skipped]))
        #expect(try holds("true", needs: []))
        #expect(try holds("always()", needs: [.failed]))
        #expect(try holds("failure()", needs: [.succeeded, .cancelled]))
        #expect(try !holds("success() or false", needs: [.lost]))
        #expect(try holds("b.state == 'failed'", needs: [.failed]))
        #expect(
            Condition.runsByDefault(needs: []) && Condition.runsByDefault(needs: [.succeeded]) && !Condition.runsByDefault(needs: [.failed])
        )
    }

    @Test(
        arguments: [
            ("true", false), ("a.x > 1", false), ("not failure()", true), ("a.x > 1 and always()", true), ("(a.state == 'failed')", true),
        ] as [(String, Bool)])
    func onlyConditionsOnOutcomesRunAfterFailures(_ text: String, _ expected: Bool) throws {
        #expect(try Condition(text).runsAfterFailure == expected)
    }

    @Test func theJobsOfAConditionAreFound() throws {
        #expect(try Condition("b.x > a.y and not (a.state == 'failed' or c-1.z == 1)").jobs == ["b", "a", "c-1"])
    }

    @Test(arguments: [
        "true", "not a.x == 1", "not (a.x == 1 and b.y < 2)", "(true or false) and (a.x == 'it' or not failure())",
        "a.x == 1 and (b.x == 2 and c.x == 3)",
        "a.x == 1 or (b.x == 2 or c.x == 3)", "a.pass@8 >= -0.5", "a.note == 'say \"hi\"'", "a.x != 1e-7", "not not true",
    ])
    func itsTextIsReadBackTheSame(_ text: String) throws {
        let condition = try Condition(text)
        #expect(try Condition(condition.description) == condition)
    }

    @Test(arguments: [
        "", " ", "and", "a", "a.state", "a.state ==", "== 1", "a.x = 1", "a.x == b", "true false", "(true", "true)", "not", "always",
        "always(", "failed()", "a.x == 'x",
        "a.x == 1 == 1", "a.x & b.y", "1x == 1", "a. == 1", ".a == 1", "1.2.3 == 1", "é == 1", "a.x == 1 and", "success() success()", "()",
    ])
    func badExpressionsAreRefused(_ text: String) {
        #expect(throws: ConditionProblem.self) { try Condition(text) }
    }

    @Test func sizeAndNestingAreBounded() throws {
        let deepest =
            String(repeating: "(", count: SpecLimits.conditionDepthMax - 1) + "true"
            + String(repeating: ")", count: SpecLimits.conditionDepthMax - 1)
        #expect(try Condition(deepest).expression == .literal(true))
        #expect(throws: ConditionProblem.self) { try Condition("(\(deepest))") }
        #expect(throws: ConditionProblem.self) { try Condition(String(repeating: "not ", count: 100) + "true") }
        #expect(try Condition("true" + String(repeating: " ", count: SpecLimits.conditionBytesMax - 4)).expression == .literal(true))
        #expect(throws: ConditionProblem.self) { try Condition("true" + String(repeating: " ", count: SpecLimits.conditionBytesMax - 3)) }
        let chain = Array(repeating: "true", count: 400).joined(separator: " and ")
        #expect(try Condition(chain).evaluate(needs: [], state: { _ in nil }, value: { _, _ in nil }))
    }
}

@Suite struct GateConditionTests {
    @Test func conditionsAreRead() {
        #expect(GateCondition(">= 0.5")?.comparison == .atLeast && GateCondition(">= 0.5")?.limit == .number(0.5))
        #expect(GateCondition(">= baseline + 0.02")?.limit == .baseline(factor: 1, offset: 0.02))
        #expect(GateCondition("<baseline-2")?.limit == .baseline(factor: 1, offset: -2))
        #expect(GateCondition("== baseline")?.limit == .baseline(factor: 1, offset: 0))
        #expect(GateCondition(" > baseline * 1.1 ")?.limit == .baseline(factor: 1.1, offset: 0))
        #expect(GateCondition("<= -1e-3")?.comparison == .atMost && GateCondition("<= -1e-3")?.limit == .number(-1e-3))
        #expect(GateCondition("<= 1")?.needsBaseline == false)
    }

    @Test(arguments: [
        "", "0.5", ">=", ">= x", "= 5", "!= 5", ">= baseline +", ">= baseline / 2", ">= baselines", ">= 1 2", "=> 1", ">= .nan", ">= true",
        ">= '1'",
    ])
    func otherTextIsRefused(_ text: String) {
        #expect(GateCondition(text) == nil)
    }
}
