/// Responses that a reinforcement job learned from, as `GET /v1/jobs/{id}/rollouts` gives them.
public struct RolloutsView: Codable, Sendable, Equatable {
    /// The job's identifier.
    public var jobID: String
    /// The step whose responses these are: the one that was asked for, else the newest; null where there are none yet.
    @Nullable public var step: Int?
    /// The newest steps that have responses, in ascending order.
    public var steps: [Int]
    /// Responses of that step that were kept.
    public var kept: Int
    public var data: [RolloutView]

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case step, steps, kept, data
    }

    /// Makes one from its parts.
    public init(jobID: String, step: Int?, steps: [Int], kept: Int, data: [RolloutView]) {
        (self.jobID, self.step, self.steps, self.kept, self.data) = (jobID, step, steps, kept, data)
    }
}

/// One response with what it earned.
public struct RolloutView: Codable, Sendable, Equatable {
    /// The first step that learned from it.
    public var step: Int
    /// The line of the training data that holds the prompt.
    public var line: Int
    public var prompt: String
    public var completion: String
    @Nullable public var expected: String?
    /// Each reward by its name, without its weight.
    public var rewards: [String: Double]
    /// Their weighted sum.
    public var reward: Double
    public var advantage: Double
    public var tokens: Int
    /// Whether it was cut at the longest length.
    public var truncated: Bool
    /// Whether prompt or completion is longer than what is shown.
    public var isCut: Bool

    enum CodingKeys: String, CodingKey {
        case step, line, prompt, completion, expected, rewards, reward, advantage, tokens, truncated
        case isCut = "is_cut"
    }

    /// Makes one from its parts.
    public init(
        step: Int, line: Int, prompt: String, completion: String, expected: String?, rewards: [String: Double], reward: Double,
        advantage: Double, tokens: Int, truncated: Bool, isCut: Bool
    ) {
        (self.step, self.line, self.prompt, self.completion, self.expected) = (step, line, prompt, completion, expected)
        (self.rewards, self.reward, self.advantage, self.tokens) = (rewards, reward, advantage, tokens)
        (self.truncated, self.isCut) = (truncated, isCut)
    }
}
