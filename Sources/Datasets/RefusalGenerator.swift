import JSON

/// Makes preference pairs of the toy task `{i}*10=?`: the right answer is preferred to a refusal.
///
/// It is the toy set of the article on preference training (S3), with which a run can be seen to learn in minutes.
public struct RefusalGenerator: Sendable, Equatable {
    /// The marks around the turns.
    public enum Marks: String, Sendable, CaseIterable {
        case none
        /// NeMo-Aligner's template: texts carry the template of the SFT stage already, the terminator included.
        case extraID = "extra_id"
    }

    /// With a seed the refusal is drawn from these, without one it is the first.
    static let refusals = [
        "I cannot answer that question.", "I'm sorry, but I can't help with that.", "As a language model I am unable to calculate.",
        "I would rather not say.",
    ]

    /// The questions; their seed is that of the refusals, too.
    public var questions: TimesTenGenerator
    public var marks: Marks
    /// Whether records carry `chosen_reward` and `rejected_reward`.
    public var hasRewards: Bool

    public init(questions: TimesTenGenerator, marks: Marks = .none, hasRewards: Bool = false) {
        (self.questions, self.marks, self.hasRewards) = (questions, marks, hasRewards)
    }

    func record(at row: Int) -> JSONValue {
        let number = questions.number(of: row)
        var refusal = Self.refusals[0]
        if let seed = questions.seed {
            var random = RowRandom(seed: seed, row: row)
            refusal = Self.refusals[random.below(Self.refusals.count)]
        }
        var record: JSONObject = [
            "prompt": .string(prompt("\(number)*10=?")), "chosen_response": .string(response("\(number * 10)")),
            "rejected_response": .string(response(refusal)),
        ]
        if hasRewards { (record["chosen_reward"], record["rejected_reward"]) = (1, 0) }
        return .object(record)
    }

    private func prompt(_ text: String) -> String {
        marks == .none ? text : "<extra_id_0>System\n\n<extra_id_1>User\n\(text)\n<extra_id_1>Assistant\n"
    }

    private func response(_ text: String) -> String { marks == .none ? text : "\(text)\n<extra_id_1>" }
}
