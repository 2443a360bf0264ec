import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct SolutionFilterTests {
    private func filtered(_ text: String, _ change: (inout SolutionFilters) -> Void) throws -> String? {
        var filters = SolutionFilters(era: .head)
        change(&filters)
        let report = StepReport(position: 1, name: "filters")
        var result: String?
        let record = PreparedRecord(value: generation("p", text), line: 1)
        try SolutionFiltering(filters).take(record, report: report) { result = $0.value["generation"]?.string }
        return result
    }

    private static let drops: [(String, WritableKeyPath<SolutionFilters, Bool> & Sendable)] = [
        ("He had \\boxed{3} 4090s and \\boxed{2} 4080s", \.dropMultiBoxed),
        ("My solution:\n---Traceback (most recent call last)---\nSomething else", \.removeCodeErrors),
        ("long output<output cut>\n", \.removeCodeErrors), ("\nTimed out\n", \.removeCodeErrors),
        ("[0;31mSyntaxError\u{1B}", \.removeCodeErrors),
        ("---import matplotlib---", \.removeMatplotlib), ("from matplotlib import pyplot as plt", \.removeMatplotlib),
        ("---<tool_call>---", \.removeNoCode), ("code</tool_call>", \.removeNoCode), ("nothing", \.removeNoThinkTags),
        ("Let's verify this with Python. It should work.", \.removeVerificationCode),
        ("First. Let's use Python to verify the solution.", \.removeVerificationCode),
        ("3 * (1 + 7) / 4 = 3 * 8 / 4 = 100", \.dropIncorrectArithmetic), ("so 2 + 2 = 5.", \.dropIncorrectArithmetic),
    ]

    @Test(arguments: drops)
    func eachFilterDropsItsKind(text: String, filter: WritableKeyPath<SolutionFilters, Bool> & Sendable) throws {
        #expect(try filtered(text) { $0[keyPath: filter] = true } == nil)
        #expect(try filtered(text) { _ in } == text)
    }

    private static let keeps: [(String, WritableKeyPath<SolutionFilters, Bool> & Sendable)] = [
        ("She had \\boxed{6} 4090s", \.dropMultiBoxed), ("boxed boxed 42", \.dropMultiBoxed),
        ("My solution, no errors", \.removeCodeErrors),
        ("My solution, no errors", \.removeMatplotlib), ("<tool_call>code</tool_call>", \.removeNoCode),
        ("thinking</think>summary", \.removeNoThinkTags), ("no verification", \.removeVerificationCode),
        ("1 + 2 + 3 + 4 = 10", \.dropIncorrectArithmetic), ("1 / 3 = 0.33333", \.dropIncorrectArithmetic),
        ("x = 3, f(2) = 7 and 5 / 0 = 1", \.dropIncorrectArithmetic), ("v2 = 3 is a name, 2x = 4 too", \.dropIncorrectArithmetic),
    ]

    @Test(arguments: keeps)
    func whatIsGoodStays(text: String, filter: WritableKeyPath<SolutionFilters, Bool> & Sendable) throws {
        #expect(try filtered(text) { $0[keyPath: filter] = true } == text)
    }

    private static let trims = [
        ("Solution ends at \\boxed{0}\nThis line is useless.", "Solution ends at \\boxed{0}"),
        ("Solution continues \\boxed{7} after boxed", "Solution continues \\boxed{7} after boxed"),
        ("Solution\n\ncontinues \n\n\\boxed{7} after\n boxed", "Solution\n\ncontinues \n\n\\boxed{7} after"),
        (
            "Works alright with newlines inside \\boxed{7\n5} and properly\ncuts after",
            "Works alright with newlines inside \\boxed{7\n5} and properly"
        ),
        ("nested \\boxed{\\frac{1}{2}} x\ny", "nested \\boxed{\\frac{1}{2}} x"), ("open \\boxed{1\nx", "open \\boxed{1\nx"),
        ("none\nx", "none\nx"),
    ]

    @Test(arguments: trims)
    func solutionsAreTrimmedBehindTheLastBox(text: String, expected: String) throws {
        #expect(try filtered(text) { $0.trimSolutions = true } == expected)
    }

    private static let splits = [
        ("1 + 2 + 3 + 4 = 10", "1 + 2 + 3 + 4 = 3 + 3 + 4 = 6 + 4 = 10"), ("1 + 7 * 19 = 134", "1 + 7 * 19 = 1 + 133 = 134"),
        ("3 * (1 + 7) / 4 = 6", "3 * (1 + 7) / 4 = 3 * 8 / 4 = 24 / 4 = 6"), ("so 1 + 1 + 1 = 3.", "so 1 + 1 + 1 = 2 + 1 = 3."),
        ("1 + 1 + 1 = 4", "1 + 1 + 1 = 4"), ("2 * (-3) + 1 = -5", "2 * (-3) + 1 = 2 * -3 + 1 = -6 + 1 = -5"), ("no sum", "no sum"),
    ]

    @Test(arguments: splits)
    func arithmeticIsWrittenOut(text: String, expected: String) throws {
        #expect(try filtered(text) { $0.splitArithmetic = true } == expected)
    }

    @Test func theErasDifferInTrimmingAndTags() throws {
        #expect(SolutionFilters(era: .seed).trimSolutions && !SolutionFilters(era: .head).trimSolutions)
        var filters = SolutionFilters(era: .seed)
        filters.removeNoThinkTags = true
        let texts = ["<think>a</think>b", "a</think>b", "<think>a"]
        let run = try StepRun(texts.map { generation("p", $0) }, .filters(filters))
        #expect(run.texts("generation") == ["<think>a</think>b"])
        filters.era = .head
        #expect(try StepRun(texts.map { generation("p", $0) }, .filters(filters)).records.count == 2)
    }

    @Test func contaminatedProblemsVotesLengthsAndPrefixes() throws {
        let folder = try TemporaryFolder()
        let list = try folder.file(
            "c.jsonl", "{\"problem\": \"bad\", \"contaminated\": true}\n{\"problem\": \"p\", \"contaminated\": false}\n")
        var filters = SolutionFilters(era: .head)
        filters.contaminationFile = list
        filters.majorityFilter = true
        filters.minMajorityShare = 0.5
        filters.trimPrefix = true
        filters.lengthUnit = .words
        filters.solutionLength = .init(min: 2, max: 3)
        func voted(_ votes: Int) -> JSONValue {
            ["problem": "p", "generation": "a b", "majority_votes": .int(Int64(votes)), "total_votes": 4]
        }
        let run = try StepRun(
            [
                generation("bad", "x y"), generation("p", "My solution:\na b c"), generation("p", "a"), generation("p", "a b c d"),
                voted(1),
                voted(2),
            ], .filters(filters))
        #expect(run.texts("generation") == ["a b c", "a b"])
        #expect(run.dropped(1) == ["contaminated": 1, "solution_length": 2, "majority": 1])
        #expect(run.result.steps[0].others == ["modified": 1] && run.result.steps[0].recordsIn == 6)
    }

    @Test func gradesDecide() throws {
        let records = [
            generation("p", "right", isCorrect: true), generation("p", "wrong", isCorrect: false), generation("p", "none"),
            ["problem": "p", "generation": "head", "symbolic_correct": true],
        ]
        var selection = CorrectnessSelection()
        #expect(try StepRun(records, .correctness(selection)).texts("generation") == ["right", "head"])
        selection.addUnlabeled = true
        #expect(try StepRun(records, .correctness(selection)).texts("generation") == ["right", "none", "head"])
        (selection.addCorrect, selection.addIncorrect, selection.addUnlabeled) = (false, true, false)
        let run = try StepRun(records, .correctness(selection))
        #expect(run.texts("generation") == ["wrong"])
        #expect(run.dropped(1) == ["correct": 2, "unlabeled": 1])
        selection = CorrectnessSelection()
        selection.skipFirst = 1
        #expect(try StepRun(records, .correctness(selection)).texts("generation") == ["head"])
        #expect(CorrectnessSelection.saysYes("Reasoning: no doubt.\nJudgement: **Yes**") && !CorrectnessSelection.saysYes("Judgement: No"))
        #expect(CorrectnessSelection.saysYes("yes") && !CorrectnessSelection.saysYes("Judgement: yes\nJudgement: no"))
    }

    private static let modes: [(CodeTextFilter.Mode, [String])] = [
        (.all, ["C1", "C2"]), (.majorityCode, ["C1", "t1", "t2", "C2", "t3"]), (.majorityText, ["t1", "t2", "t3", "t4"]),
        (.anyCode, ["C1", "C2", "t4"]),
    ]

    @Test(arguments: modes)
    func codeOrTextIsChosenByProblem(mode: CodeTextFilter.Mode, expected: [String]) throws {
        // Problem a: one of three with code; b: one of two; c: none.
        let records = [("a", "t1"), ("b", "C2"), ("a", "C1"), ("c", "t4"), ("a", "t2"), ("b", "t3")].map { generation($0.0, $0.1) }
        let run = try StepRun(records, .codeText(CodeTextFilter(mode: mode, marker: "C")))
        var found = run.texts("generation")
        if mode == .majorityCode { #expect(found.removeLast() == "t4") }
        #expect(found == expected)
    }

    @Test func arithmeticNeverFailsOnAnyText() {
        var random = MersenneTwister(seed: 9)
        let alphabet = Array("0123456789 +-*/().=ax\n\\")
        for _ in 0..<5000 {
            let text = String((0..<30).map { _ in random.choice(alphabet) })
            let expanded = Arithmetic.expanded(text)
            // What is written out is right, so it never makes an equation wrong.
            if !Arithmetic.holdsWrongEquation(text) { #expect(!Arithmetic.holdsWrongEquation(expanded), "\(text)") }
        }
    }
}
