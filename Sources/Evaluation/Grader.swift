/// How an answer is compared with the expected one.
public enum Grader: String, Sendable, CaseIterable {
    /// The text after the reasoning, equal as text or as a number.
    case exact
    /// The label of a multiple-choice answer: one digit or one letter from A to J.
    case choice

    /// What a grader found in a response.
    public struct Grade: Sendable, Equatable {
        /// The answer as it was read; `nil` where the response holds none.
        public var answer: String?
        public var isCorrect: Bool
    }

    /// Grades `response` against `expected`, which may carry a reasoning block too.
    public func grade(response: String, expected: String) -> Grade {
        let truth = AnswerText.afterReasoning(expected) ?? AnswerText.trimmed(expected)
        guard let text = AnswerText.afterReasoning(response), !text.isEmpty else { return Grade(answer: nil, isCorrect: false) }
        switch self {
        case .exact:
            return Grade(answer: text, isCorrect: AnswerText.isEqual(text, truth))
        case .choice:
            // A label that cannot be read from the expected answer would make every response wrong without a word.
            guard let label = ChoiceLabel.read(from: truth, like: nil) else {
                return Grade(answer: text, isCorrect: AnswerText.isEqual(text, truth))
            }
            let answer = ChoiceLabel.read(from: text, like: label)
            return Grade(answer: answer.map { String($0) }, isCorrect: answer == label)
        }
    }
}
