/// How an answer is compared with the expected one.
public enum Grader: String, Sendable, CaseIterable {
    /// The text after the reasoning, equal as text or as a number.
    case exact
    /// The label of a multiple-choice answer: one digit or one letter from A to J.
    case choice
    /// A mathematical answer; what text and numbers do not decide is left to math-verify.
    case math
    /// What an expression finds; or the expected answer is itself an expression, which must match.
    case regex
    /// A JSON document.
    case json
    /// A program decides.
    case command
    /// Another model decides.
    case judge

    /// What a grader found in a response.
    public struct Grade: Sendable, Equatable {
        /// The answer as it was read; `nil` where the response holds none.
        public var answer: String?
        /// From 0 to 1.
        public var score: Double

        public var isCorrect: Bool { score == 1 }

        public init(answer: String?, score: Double) {
            self.answer = answer
            self.score = score
        }

        public init(answer: String?, isCorrect: Bool) { self.init(answer: answer, score: isCorrect ? 1 : 0) }
    }

    /// What a grader can say by itself.
    public enum Verdict: Sendable, Equatable {
        case decided(Grade)
        /// Something outside has to be asked: math-verify, a program or a model.
        case undecided(answer: String, expected: String)
    }
}
