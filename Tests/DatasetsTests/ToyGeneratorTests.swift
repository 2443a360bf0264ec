import JSON
import Testing

@testable import Datasets

@Suite struct ToyGeneratorTests {
    @Test func refusalsPreferTheRightAnswerInTheTemplateOfTheSFTStage() {
        let plain = RefusalGenerator(questions: TimesTenGenerator(count: 200))
        #expect(
            plain.record(at: 7) == [
                "prompt": "7*10=?", "chosen_response": "70", "rejected_response": "I cannot answer that question.",
            ])
        let marked = RefusalGenerator(questions: TimesTenGenerator(count: 200), marks: .extraID, hasRewards: true).record(at: 7)
        #expect(marked["prompt"] == "<extra_id_0>System\n\n<extra_id_1>User\n7*10=?\n<extra_id_1>Assistant\n")
        #expect(marked["chosen_response"] == "70\n<extra_id_1>")
        #expect(marked["rejected_response"] == "I cannot answer that question.\n<extra_id_1>")
        #expect(marked["chosen_reward"] == 1 && marked["rejected_reward"] == 0)
        #expect(DatasetFormat.preference.problems(in: marked).isEmpty)
    }

    @Test func theSeedAloneDecidesWhichRefusalComes() {
        func refusals(_ seed: Int) -> [JSONValue?] {
            let generator = RefusalGenerator(questions: TimesTenGenerator(count: 100, seed: seed))
            return (0..<100).map { generator.record(at: $0)["rejected_response"] }
        }
        #expect(refusals(1) == refusals(1))
        #expect(refusals(1) != refusals(2))
        #expect(Set(refusals(1).compactMap { $0?.string }).count == RefusalGenerator.refusals.count)
    }

    @Test(arguments: [
        ArithmeticGenerator(count: 300), ArithmeticGenerator(count: 300, operations: [.subtract], terms: 4, digits: 6, seed: 1),
        ArithmeticGenerator(count: 300, operations: [.add, .multiply], terms: 5, digits: 3, seed: 2),
    ])
    func arithmeticHasTheRightAnswers(generator: ArithmeticGenerator) throws {
        #expect(generator.isRepresentable)
        for row in 0..<generator.count {
            let record = generator.record(at: row)
            let problem = try #require(record["problem"]?.string)
            #expect(problem.hasPrefix("What is ") && problem.hasSuffix("?"))
            let answer = try #require(record["expected_answer"]?.string)
            #expect(Self.value(problem.dropFirst(8).dropLast()) == Int(answer), "\(problem) \(answer)")
        }
        #expect(generator.record(at: 3) == generator.record(at: 3))
    }

    @Test func productsThatCouldOverflowAreNotRepresentable() {
        #expect(ArithmeticGenerator(count: 1, operations: [.multiply], terms: 3, digits: 6).isRepresentable)
        #expect(!ArithmeticGenerator(count: 1, operations: [.multiply], terms: 10, digits: 2).isRepresentable)
        #expect(ArithmeticGenerator(count: 1, operations: [.add], terms: 10, digits: 6).isRepresentable)
    }

    /// An evaluation of its own: sums of products, from the left.
    private static func value(_ text: Substring) -> Int {
        var signed: [Substring] = []
        var sign = ""
        for word in text.split(separator: " ") {
            switch word {
            case "+": sign = ""
            case "-": sign = "-"
            case "*": sign = "*"
            default:
                if sign == "*" { signed[signed.count - 1] += "*" + word } else { signed.append(sign + word) }
            }
        }
        return signed.reduce(0) { $0 + $1.split(separator: "*").reduce(1) { $0 * (Int($1) ?? 0) } }
    }
}
