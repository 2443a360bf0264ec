import JSON

/// A grader with all that it was told.
public struct Grading: Sendable, Equatable {
    public var grader: Grader
    /// Where in a response the answer stands.
    public var extraction: AnswerExtraction
    /// `math`: whole numbers are compared by their remainders.
    public var modulo: Int?
    /// `json`: the part of the document that is compared.
    public var pointer: JSONPointer?
    /// `json`: whether the answer may have members that the expected one has not.
    public var allowsMore: Bool

    /// - Parameter extraction: without one the last box for `math`, otherwise all of the text.
    public init(
        _ grader: Grader, extraction: AnswerExtraction? = nil, modulo: Int? = nil, pointer: JSONPointer? = nil, allowsMore: Bool = false
    ) {
        self.grader = grader
        self.extraction = extraction ?? (grader == .math ? .boxed : .text)
        self.modulo = modulo
        self.pointer = pointer
        self.allowsMore = allowsMore
    }

    /// Why responses cannot be held against `expected`; `nil` where they can.
    public func obstacle(expected: String) -> String? {
        switch grader {
        case .math:
            guard let modulo else { return nil }
            let truth = MathAnswer.truth(in: expected)
            return MathAnswer.remainder(of: truth, modulo: modulo) == nil ? "'\(truth)' is no whole number, as 'modulo' needs" : nil
        case .regex:
            guard extraction == .text else { return nil }
            do throws(TextPattern.SyntaxError) {
                _ = try TextPattern(expected)
                return nil
            } catch {
                return error.description
            }
        default: return nil
        }
    }

    /// Grades `response` against `expected`, which may carry a reasoning block too.
    public func verdict(response: String, expected: String) -> Grader.Verdict {
        let truth = AnswerText.afterReasoning(expected) ?? AnswerText.trimmed(expected)
        guard let text = extraction.answer(in: response) else { return .decided(.init(answer: nil, score: 0)) }
        switch grader {
        case .exact: return .decided(.init(answer: text, isCorrect: AnswerText.isEqual(text, truth)))
        case .choice: return .decided(choice(text, truth))
        case .math:
            let solution = MathAnswer.truth(in: truth)
            guard let isCorrect = MathAnswer.isEqual(text, to: solution, modulo: modulo) else {
                return .undecided(answer: text, expected: solution)
            }
            return .decided(.init(answer: text, isCorrect: isCorrect))
        case .regex: return .decided(regex(text, truth))
        case .json: return .decided(json(text, truth))
        case .command, .judge: return .undecided(answer: text, expected: truth)
        }
    }

    private func choice(_ text: String, _ truth: String) -> Grader.Grade {
        // A label that cannot be read from the expected answer would make every response wrong without a word.
        guard let label = ChoiceLabel.read(from: truth, like: nil) else {
            return .init(answer: text, isCorrect: AnswerText.isEqual(text, truth))
        }
        let answer = ChoiceLabel.read(from: text, like: label)
        return .init(answer: answer.map { String($0) }, isCorrect: answer == label)
    }

    private func regex(_ text: String, _ truth: String) -> Grader.Grade {
        guard extraction == .text else { return .init(answer: text, isCorrect: AnswerText.isEqual(text, truth)) }
        // `obstacle` has refused what is no expression.
        guard let match = (try? TextPattern(truth))?.lastMatch(in: text) else { return .init(answer: text, score: 0) }
        return .init(answer: match, score: 1)
    }

    private func json(_ text: String, _ truth: String) -> Grader.Grade {
        guard var document = JSONAnswer.document(in: text) else { return .init(answer: nil, score: 0) }
        // An expected answer that is no JSON is meant as a text.
        var wanted = (try? JSONParser.parse(truth)) ?? .string(truth)
        if let pointer {
            guard let part = document[pointer] else { return .init(answer: nil, score: 0) }
            document = part
            wanted = wanted[pointer] ?? wanted
        }
        return .init(
            answer: JSONAnswer.canonicalText(document), isCorrect: JSONAnswer.matches(document, wanted, isPart: allowsMore))
    }
}
