import Testing

@testable import Evaluation

@Suite struct MathAnswerTests {
    @Test(arguments: [
        (#"so \boxed{5}"#, "5"), (#"\boxed{1} then \boxed{ 2 }"#, "2"), (#"\boxed{\frac{1}{2}}."#, #"\frac{1}{2}"#),
        (#"\boxed{1} \boxed{2"#, nil), (#"\boxed{1} \boxed 2"#, nil), ("no box", nil), (#"\boxed{}"#, nil), (#"\boxed{\{1\}}"#, #"\{1\}"#),
        (#"<think>\boxed{1}</think>\boxed{2}"#, "2"), (#"<think>\boxed{1}"#, nil), (#"\fbox{3}"#, nil),
    ])
    func theLastBoxHoldsTheAnswer(response: String, answer: String?) {
        #expect(AnswerExtraction.boxed.answer(in: response) == answer)
    }

    @Test(arguments: [("x\n#### 72", "72"), ("#### 1\n#### 1,000 \nend", "1,000"), ("####72", nil), ("72", nil), ("#### ", nil)])
    func behindHashesStandsTheAnswer(response: String, answer: String?) {
        #expect(AnswerExtraction.hashes.answer(in: response) == answer)
    }

    @Test(arguments: [
        ("The final answer is 3", "3"), ("The final answer is 3\nThe final answer is 4", "4"), ("The final answer is 3\nor so", nil),
        ("The final answer is", nil), ("x The final answer is \\(a\\)\n", "\\(a\\)"),
    ])
    func thePatternOfNeMoSkillsTakesTheLastLine(response: String, answer: String?) throws {
        #expect(AnswerExtraction.pattern(try TextPattern(AnswerExtraction.finalAnswerPattern)).answer(in: response) == answer)
    }

    @Test func theExpectedAnswerMayBeAWholeSolution() {
        #expect(MathAnswer.truth(in: "1+1=<<1+1=2>>2\n#### 2") == "2")
        #expect(MathAnswer.truth(in: #"It is \boxed{\pi}"#) == #"\pi"#)
        #expect(MathAnswer.truth(in: " 7 ") == "7")
    }

    @Test(arguments: [
        ("5", "5", true), ("1,000", "1000", true), ("1000.0", "1,000", true), ("5.", "5", true), (#"5\."#, "5", true), ("50%", "50", true),
        (#"50\%"#, "50.0", true), ("-0", "0", true), ("007", "7", true), ("5", "6", false), ("0.5", "0.25", false), ("5", "5.1", false),
        ("123456789012345678901", "123456789012345678902", false), (#"\frac12"#, #"\frac12"#, true), ("A", "A", true), ("A", "B", false),
        ("0.3333333", "0.3333334", nil), ("-50%", "-50", nil), ("1/2", "0.5", nil), ("(A)", "A", nil), ("a", "A", nil),
        ("0,123", "123", nil),
        ("x", "y", nil), ("10,00", "1000", nil), ("12345678901.5", "12345678902.5", nil),
    ])
    func textAndNumbersAreDecidedAndTheRestIsLeft(answer: String, expected: String, isEqual: Bool?) {
        #expect(MathAnswer.isEqual(answer, to: expected) == isEqual)
    }

    @Test(arguments: [
        ("1007", "7", true), ("-3", "997", true), ("0", "-1000", true), ("8", "7", false), ("7.0", "7", false), ("x", "7", false),
        ("123456789012345678901234567007", "7", true), ("+7", "1007", true), ("", "7", false),
    ])
    func moduloComparesRemainders(answer: String, expected: String, isEqual: Bool) {
        #expect(MathAnswer.isEqual(answer, to: expected, modulo: 1000) == isEqual)
        #expect(Grading(.math, modulo: 1000).obstacle(expected: "1/2") != nil && Grading(.math, modulo: 9).obstacle(expected: "-3") == nil)
    }

    @Test func remaindersAreThoseOfFlooredDivision() {
        for number in -50...50 {
            for modulo in 1...12 {
                #expect(MathAnswer.remainder(of: "\(number)", modulo: modulo) == ((number % modulo) + modulo) % modulo)
            }
        }
    }
}
