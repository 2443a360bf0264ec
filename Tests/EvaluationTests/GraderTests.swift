import Foundation
import JSON
import Testing

@testable import Evaluation

@Suite struct GraderTests {
    @Test(arguments: [
        ("30", "30", true), (" 30\n", "30", true), ("<think>2+1</think>\n\n30", "30", true), ("30.0", "30", true), ("+030", "30", true),
        ("1,000", "1000", true), ("10,00", "1000", false), ("-0", "0", true), ("-3", "3", false), ("30.", "30", false),
        ("thirty", "30", false),
        ("30 apples", "30", false), ("</think>a</think> b", "b", true), ("30", "<think></think>\n\n30", true), ("1.50", "1.5", true),
        (".5", "0.5", false),
        ("99999999999999999999999999999999", "99999999999999999999999999999998", false), ("絵本", "絵本", true), ("\u{E9}", "e\u{301}", false),
    ])
    func exactTakesTextAfterTheReasoningAndEqualNumbers(response: String, expected: String, isCorrect: Bool) {
        #expect(Grader.exact.grade(response: response, expected: expected).isCorrect == isCorrect)
    }

    @Test(arguments: ["", "  \n", "<think>never ends", "<think>ends</think>  "])
    func aResponseWithoutAnAnswerIsToldFromAWrongOne(response: String) {
        #expect(Grader.exact.grade(response: response, expected: "1") == .init(answer: nil, isCorrect: false))
        #expect(Grader.choice.grade(response: response, expected: "1") == .init(answer: nil, isCorrect: false))
    }

    @Test(arguments: [
        ("2", "2", "2"), ("２", "2", "2"), ("2. 絵本", "2", "2"), ("答えは3です。1ではない", "3", "3"), ("The answer is (B).", "B", "B"),
        ("b", "B", "B"),
        ("A dog. The answer is C", "C", "C"), ("**D**", "D", "D"), ("1 or 2", "1", nil), ("12", "1", nil), ("B2", "B", nil),
        ("none of them", "B", nil),
        ("A or B", "A", nil), ("Answer: 4\n", "4", "4"), ("<think>1 2 3</think>(0)", "0", "0"), ("I think E", "E", nil),
        ("So it is E", "E", "E"),
    ])
    func choiceReadsTheLabel(response: String, expected: String, answer: String?) {
        let grade = Grader.choice.grade(response: response, expected: expected)
        #expect(grade.answer == answer)
        #expect(grade.isCorrect == (answer == expected))
    }

    private static let solutions: String? = {
        let repository = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("../../../shared/data/gsm8k/model_solutions_first400.jsonl").standardizedFileURL.path
        return FileManager.default.fileExists(atPath: repository) ? repository : nil
    }()

    @Test(.enabled(if: solutions != nil, "needs ../shared/data/gsm8k"))
    func sixteenHundredRealAnswersAreGradedAsTheirAuthorsGradedThem() throws {
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: try #require(Self.solutions))), as: UTF8.self)
        func answer(_ solution: String?) -> String {
            let lines = (solution ?? "").split(separator: "\n")
            return lines.last { $0.hasPrefix("A: ") }.map { String($0.dropFirst(3)) } ?? ""
        }
        var graded = 0
        for line in text.split(separator: "\n") {
            let record = try JSONParser.parse(String(line))
            for column in ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"] {
                let truth = answer(record["ground_truth"]?.string)
                let grade = Grader.exact.grade(response: answer(record[column]?["solution"]?.string), expected: truth)
                #expect(grade.isCorrect == record[column]?["is_correct"]?.bool)
                graded += 1
            }
        }
        #expect(graded == 1600)
    }
}
