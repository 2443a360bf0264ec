import Foundation
import JSON
import Testing

@testable import Evaluation

@Suite struct GraderTests {
    private func grade(_ grader: Grader, _ response: String, _ expected: String) -> Grader.Grade? {
        guard case .decided(let grade) = Grading(grader).verdict(response: response, expected: expected) else { return nil }
        return grade
    }

    @Test(arguments: [
        ("30", "30", true), (" 30\n", "30", true), ("<think>2+1</think>\n\n30", "30", true), ("30.0", "30", true), ("+030", "30", true),
        ("1,000", "1000", true), ("10,00", "1000", false), ("-0", "0", true), ("-3", "3", false), ("30.", "30", false),
        ("thirty", "30", false),
        ("30 apples", "30", false), ("</think>a</think> b", "b", true), ("30", "<think></think>\n\n30", true), ("1.50", "1.5", true),
        (".5", "0.5", false),
        ("99999999999999999999999999999999", "99999999999999999999999999999998", false), ("絵本", "絵本", true), ("\u{E9}", "e\u{301}", false),
    ])
    func exactTakesTextAfterTheReasoningAndEqualNumbers(response: String, expected: String, isCorrect: Bool) {
        #expect(grade(.exact, response, expected)?.isCorrect == isCorrect)
    }

    @Test(arguments: ["", "  \n", "<think>never ends", "<think>ends</think>  "], Grader.allCases)
    func aResponseWithoutAnAnswerIsToldFromAWrongOne(response: String, grader: Grader) {
        #expect(grade(grader, response, "1") == .init(answer: nil, isCorrect: false))
    }

    @Test(arguments: [
        ("2", "2", "2"), ("２", "2", "2"), ("2. 絵本", "2", "2"), ("答えは3です。1ではない", "3", "3"), ("The answer is (B).", "B", "B"),
        ("b", "B", "B"), ("Ｃ", "C", "C"), ("答えは（Ｄ）", "D", "D"),
        ("A dog. The answer is C", "C", "C"), ("**D**", "D", "D"), ("1 or 2", "1", nil), ("12", "1", nil), ("B2", "B", nil),
        ("none of them", "B", nil),
        ("A or B", "A", nil), ("Answer: 4\n", "4", "4"), ("<think>1 2 3</think>(0)", "0", "0"), ("I think E", "E", nil),
        ("So it is E", "E", "E"), ("2. 3人", "2", "2"), ("（３）１つ", "3", "3"), ("3.5", "3", nil), ("1, 2", "1", nil), ("(1) or (2)", "1", "1"),
    ])
    func choiceReadsTheLabel(response: String, expected: String, answer: String?) {
        let grade = grade(.choice, response, expected)
        #expect(grade?.answer == answer)
        #expect(grade?.isCorrect == (answer == expected))
    }

    @Test(arguments: [
        (#"{"a": 1, "b": [1, 2]}"#, #"{"b": [1.0, 2], "a": 1.0}"#, true), (#"{"a": 1, "b": 2}"#, #"{"a": 1}"#, false),
        ("Here it is:\n```json\n{\"a\": \"}\"}\n```\nDone.", #"{"a": "}"}"#, true), ("[1, 2", "[1, 2]", false), ("[2, 1]", "[1, 2]", false),
        (#"{"a": 1} or rather {"a": 2}"#, #"{"a": 2}"#, true), ("\"yes\"", "yes", true), ("true", "1", false), ("[[[[", "[]", false),
        (#"{broken {"a": 1}"#, #"{"a": 1}"#, true), ("123456789012345678901", "123456789012345678901", true),
    ])
    func jsonDocumentsAreComparedByContent(response: String, expected: String, isCorrect: Bool) {
        #expect(grade(.json, response, expected)?.isCorrect == isCorrect)
    }

    @Test func aPartOfADocumentMayCount() {
        let part = Grading(.json, pointer: JSONPointer(["answer"]))
        #expect(part.verdict(response: #"{"answer": 3, "why": "x"}"#, expected: "3") == .decided(.init(answer: "3", score: 1)))
        #expect(part.verdict(response: #"{"answer": 3}"#, expected: #"{"answer": 3, "x": 0}"#) == .decided(.init(answer: "3", score: 1)))
        #expect(part.verdict(response: #"{"result": 3}"#, expected: "3") == .decided(.init(answer: nil, score: 0)))
        let more = Grading(.json, allowsMore: true)
        #expect(
            more.verdict(response: #"{"b": 1, "a": 2}"#, expected: #"{"a": 2}"#) == .decided(.init(answer: #"{"a":2,"b":1}"#, score: 1)))
        #expect(more.verdict(response: #"{"b": 1}"#, expected: #"{"a": 2}"#) == .decided(.init(answer: #"{"b":1}"#, score: 0)))
    }

    @Test func aRegularExpressionFindsTheAnswerOrIsTheExpectedOne() throws {
        let pattern = try TextPattern(#"Answer: (\w+)"#)
        let finding = Grading(.regex, extraction: .pattern(pattern))
        #expect(finding.verdict(response: "Answer: a\nAnswer: b", expected: "b") == .decided(.init(answer: "b", score: 1)))
        #expect(finding.verdict(response: "no", expected: "b") == .decided(.init(answer: nil, score: 0)))
        let expecting = Grading(.regex)
        #expect(expecting.verdict(response: "It is 42 km.", expected: #"\b4\d km"#) == .decided(.init(answer: "42 km", score: 1)))
        #expect(expecting.verdict(response: "It is 52 km.", expected: #"\b4\d km"#) == .decided(.init(answer: "It is 52 km.", score: 0)))
        #expect(expecting.obstacle(expected: "(")?.contains("no regular expression") == true)
        #expect(throws: TextPattern.SyntaxError.self) { try TextPattern("[a") }
    }

    @Test func programsAndJudgesAreLeftToOthers() {
        #expect(Grading(.command).verdict(response: "<think>x</think>4", expected: "5") == .undecided(answer: "4", expected: "5"))
        #expect(Grading(.judge).verdict(response: "4", expected: "<think>x</think>5") == .undecided(answer: "4", expected: "5"))
    }
}

/// The shared data, where they are.
enum SharedData {
    static let solutions = path("gsm8k/model_solutions_first400.jsonl")
    static let questions: String? = {
        guard let folder = path("jcommonsenseqa") else { return nil }
        // A folder that cannot be read is as good as none.
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.first { $0.contains("valid") }.map { folder + "/" + $0 }
    }()

    private static func path(_ name: String) -> String? {
        let path = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("../../../shared/data/\(name)").standardizedFileURL.path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    static let columns = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]

    /// For each problem the expected solution, and four models' solutions with their authors' grades.
    static func records() throws -> [(truth: String, solutions: [(text: String, isCorrect: Bool)])] {
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: try #require(solutions))), as: UTF8.self)
        return try text.split(separator: "\n").map { line in
            let record = try JSONParser.parse(String(line))
            return (
                truth: try #require(record["ground_truth"]?.string),
                solutions: try columns.map { column in
                    (text: record[column]?["solution"]?.string ?? "", isCorrect: record[column]?["is_correct"] == true)
                }
            )
        }
    }
}

@Suite struct SharedQuestionTests {
    private static let fullWidth: [Character] = ["０", "１", "２", "３", "４"]
    private static let letters: [Character] = ["A", "B", "C", "D", "E"]

    /// The labels of all JCommonsenseQA questions in the forms in which models give them, with the real choices beside them.
    @Test(.enabled(if: SharedData.questions != nil, "needs ../shared/data/jcommonsenseqa"))
    func labelsAreReadBesideRealChoices() throws {
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: try #require(SharedData.questions))), as: UTF8.self)
        var count = 0
        for line in text.split(separator: "\n") {
            let record = try JSONParser.parse(String(line))
            let label = try #require(record["label"]?.int)
            let choice = try #require(record["choice\(label)"]?.string)
            let responses = [
                "\(label)", "\(Self.fullWidth[label])", "\(label). \(choice)", "答えは\(label)です。", "答え：\(Self.fullWidth[label])（\(choice)）",
                "<think>0か1か、\(choice)</think>\n\n\(label)", "正解は「\(label)」\(choice)です",
            ]
            for response in responses {
                #expect(
                    Grading(.choice).verdict(response: response, expected: "\(label)") == .decided(.init(answer: "\(label)", score: 1)),
                    "\(response)")
                let other = (label + 1) % 5
                #expect(Grading(.choice).verdict(response: response, expected: "\(other)") == .decided(.init(answer: "\(label)", score: 0)))
            }
            let letter = String(Self.letters[label])
            for response in ["\(letter)", "(\(letter)) \(choice)", "The answer is \(letter): \(choice)"] {
                #expect(
                    Grading(.choice).verdict(response: response, expected: letter) == .decided(.init(answer: letter, score: 1)),
                    "\(response)")
            }
            count += 1
        }
        #expect(count == 1119)
    }
}

@Suite struct SharedSolutionTests {
    /// Every grader that can read these answers grades all 1,600 as their authors did; none of them needs symbolic mathematics.
    @Test(.enabled(if: SharedData.solutions != nil, "needs ../shared/data/gsm8k"), arguments: [Grader.exact, .math, .regex])
    func sixteenHundredRealAnswersAreGradedAsTheirAuthorsGradedThem(grader: Grader) throws {
        let pattern = try TextPattern("(?m)^A: (.+)$")
        let grading = Grading(grader, extraction: .pattern(pattern))
        var graded = 0
        for record in try SharedData.records() {
            let truth = try #require(pattern.lastMatch(in: record.truth))
            for solution in record.solutions {
                guard case .decided(let grade) = grading.verdict(response: solution.text, expected: truth) else {
                    Issue.record("'\(solution.text)' is left undecided")
                    continue
                }
                #expect(grade.isCorrect == solution.isCorrect, "\(solution.text)")
                #expect((grade.answer == nil) == !solution.text.split(separator: "\n").contains { $0.hasPrefix("A: ") })
                graded += 1
            }
        }
        #expect(graded == 1600)
    }

    /// The same solutions as if models had written them in the two other forms that the `math` grader knows.
    @Test(.enabled(if: SharedData.solutions != nil, "needs ../shared/data/gsm8k"), arguments: [AnswerExtraction.boxed, .hashes])
    func theFormOfTheAnswerMakesNoDifference(extraction: AnswerExtraction) throws {
        let grading = Grading(.math, extraction: extraction)
        func rewritten(_ text: String) -> String {
            text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                guard line.hasPrefix("A: ") else { return String(line) }
                return extraction == .boxed ? "So it is $\\boxed{\(line.dropFirst(3))}$." : "#### \(line.dropFirst(3))"
            }.joined(separator: "\n")
        }
        for record in try SharedData.records() {
            for solution in record.solutions {
                let verdict = grading.verdict(response: rewritten(solution.text), expected: rewritten(record.truth))
                guard case .decided(let grade) = verdict else {
                    Issue.record("'\(solution.text)' is left undecided")
                    continue
                }
                #expect(grade.isCorrect == solution.isCorrect, "\(solution.text)")
            }
        }
    }
}
