/// What a judging model is asked, and how its words are read.
public enum Judgement {
    /// What the judge compares.
    public enum Mode: String, Sendable, CaseIterable {
        /// The answer with the expected one: right or wrong.
        case single
        /// The response with the expected one, twice, each in either place: the better one wins.
        case pair
    }

    /// Which of two responses a judge prefers.
    public enum Preference: Sendable, Equatable {
        case first, second, tie
    }

    /// Asks whether an answer is right; `{problem}`, `{expected_answer}` and `{predicted_answer}` are filled in.
    public static let singlePrompt = """
        You grade the answer that a student gave to a problem.

        Problem:
        {problem}

        Expected answer:
        {expected_answer}

        The student's answer:
        {predicted_answer}

        Decide whether the student's answer means the same as the expected answer. Another notation, another order of equal parts, units
        that the problem implies and harmless rounding do not make an answer wrong; a different value or a missing part does. Take the
        expected answer for right and do not solve the problem yourself.

        Write one or two sentences of reasoning, and then, on a line of its own, either "Judgement: Yes" or "Judgement: No".
        """

    /// Asks which of two responses is better; `{problem}`, `{response_1}` and `{response_2}` are filled in.
    public static let pairPrompt = """
        You compare two responses to the same request.

        Request:
        {problem}

        Response 1:
        {response_1}

        Response 2:
        {response_2}

        Decide which response serves the request better: whether it is right, does what was asked, and leaves out what was not. Neither its
        place nor its length counts for it.

        Write one or two sentences of reasoning, and then, on a line of its own, "Judgement: 1", "Judgement: 2" or "Judgement: tie".
        """

    /// Fills in a prompt in one pass, so that braces in the values stay as they are.
    public static func fill(_ prompt: String, _ values: [(name: String, value: String)]) -> String {
        var result = ""
        var rest = Substring(prompt)
        while let brace = rest.firstIndex(of: "{") {
            result += rest[..<brace]
            rest = rest[brace...]
            if let (name, value) = values.first(where: { rest.hasPrefix("{" + $0.name + "}") }) {
                result += value
                rest = rest.dropFirst(name.count + 2)
            } else {
                result += "{"
                rest = rest.dropFirst()
            }
        }
        return result + rest
    }

    /// Whether the judge calls the answer right: the text behind its last `Judgement:` starts with yes, in any case of letters.
    ///
    /// `nil` where it says no judgement at all, which counts as wrong.
    public static func isRight(_ text: String) -> Bool? { verdict(in: text).map { $0.hasPrefix("yes") } }

    /// Which response the judge prefers; `nil` where it does not say.
    public static func preference(_ text: String) -> Preference? {
        guard let verdict = verdict(in: text) else { return nil }
        if verdict.hasPrefix("tie") { return .tie }
        // A number that goes on, such as 12, is neither of the two.
        let digits = verdict.drop { $0 == "[" || $0 == "(" }.prefix { $0.isNumber }
        return digits == "1" ? .first : digits == "2" ? .second : nil
    }

    /// The score of a response that was judged in both places, and whether both judgements agree.
    ///
    /// A response wins, with 1, or loses, with 0, only where both orders say so; otherwise the two are equal, with 0.5. Judges favour a
    /// place, and this takes that out of the result (Zheng et al. 2023, "Judging LLM-as-a-Judge", section 3.4). `nil` where the judge
    /// did not say either time.
    ///
    /// - Parameters:
    ///   - straight: the judgement with the response in the first place.
    ///   - swapped: the judgement with the response in the second place.
    public static func score(straight: Preference?, swapped: Preference?) -> (score: Double, isConsistent: Bool)? {
        switch (straight, swapped) {
        case (nil, nil): nil
        case (.first?, .second?): (1, true)
        case (.second?, .first?): (0, true)
        case (.tie?, .tie?): (0.5, true)
        default: (0.5, false)
        }
    }

    /// What stands behind the last `Judgement:`, in small letters and without decoration.
    private static func verdict(in text: String) -> String? {
        let bytes = Array(text.lowercased().utf8)
        let mark = Array("judgement:".utf8)
        guard let start = AnswerText.lastOccurrence(of: mark, in: bytes) else { return nil }
        let rest = String(decoding: bytes[(start + mark.count)...], as: UTF8.self)
        return String(rest.drop { $0.isWhitespace || $0 == "*" || $0 == "_" || $0 == "\"" })
    }
}
