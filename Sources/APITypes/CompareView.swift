/// Two evaluations, paired item by item.
public struct CompareView: Codable, Sendable, Equatable {
    /// Identifier of the evaluation compared against.
    public var base: String
    /// The newer side.
    public var candidate: String
    /// Benchmarks, and tasks as `<benchmark>/<task>`, in which the candidate is worse beyond chance.
    public var regressions: [String]
    /// One entry for each benchmark of the candidate.
    public var benchmarks: [BenchmarkComparison]

    enum CodingKeys: String, CodingKey {
        case base
        case candidate
        case regressions
        case benchmarks
    }

    /// Makes one from its parts.
    public init(base: String, candidate: String, regressions: [String] = [], benchmarks: [BenchmarkComparison]) {
        self.base = base
        self.candidate = candidate
        self.regressions = regressions
        self.benchmarks = benchmarks
    }
}

/// One metric of one benchmark, or of one of its tasks, in both evaluations.
public struct BenchmarkComparison: Codable, Sendable, Equatable {
    /// Its name.
    public var name: String
    /// The name of the metric.
    public var metric: String
    /// The side compared against.
    @Nullable public var base: Double?
    /// The newer side.
    @Nullable public var candidate: Double?
    /// Candidate less base.
    @Nullable public var difference: Double?
    /// Lower end of the 95 % interval of the difference.
    @Nullable public var ciLow: Double?
    /// Upper end of that interval.
    @Nullable public var ciHigh: Double?
    /// Two-sided, paired.
    @Nullable public var pValue: Double?
    /// The same, raised by Holm's method for the number of benchmarks (or tasks) compared.
    @Nullable public var pAdjusted: Double?
    /// `regression` or `improvement` where the adjusted value is below 0.05, else `unclear`; null where the two cannot be paired.
    @Nullable public var verdict: String?
    /// Why the items cannot be paired.
    @Nullable public var notPaired: String?
    /// Items that both evaluations answered.
    public var items: Int
    /// Items on which the candidate is better.
    public var improved: Int
    /// Items on which the candidate is worse.
    public var regressed: Int
    /// Items that were wrong and are right.
    public var flippedUp: Int
    /// Items that were right and are wrong.
    public var flippedDown: Int
    /// The tasks of a benchmark whose items name them; empty for a task.
    public var tasks: [BenchmarkComparison]

    enum CodingKeys: String, CodingKey {
        case name
        case metric
        case base
        case candidate
        case difference
        case ciLow = "ci_low"
        case ciHigh = "ci_high"
        case pValue = "p_value"
        case pAdjusted = "p_adjusted"
        case verdict
        case notPaired = "not_paired"
        case items
        case improved
        case regressed
        case flippedUp = "flipped_up"
        case flippedDown = "flipped_down"
        case tasks
    }

    /// Makes one from its parts.
    public init(
        name: String, metric: String, base: Double? = nil, candidate: Double? = nil, difference: Double? = nil, ciLow: Double? = nil,
        ciHigh: Double? = nil, pValue: Double? = nil, items: Int, improved: Int, regressed: Int
    ) {
        self.name = name
        self.metric = metric
        self.base = base
        self.candidate = candidate
        self.difference = difference
        self.ciLow = ciLow
        self.ciHigh = ciHigh
        self.pValue = pValue
        self.items = items
        self.improved = improved
        self.regressed = regressed
        (flippedUp, flippedDown, tasks) = (0, 0, [])
    }
}

/// An item that one of two evaluations got right and the other did not.
public struct FlippedItemView: Codable, Sendable, Equatable {
    /// The benchmark's name.
    public var benchmark: String
    /// The place in the benchmark's data, from 0.
    public var item: Int
    /// The item's task; null where it names none.
    @Nullable public var task: String?
    /// `improvement` where the candidate is right, `regression` where the base was.
    public var direction: String
    /// What was asked: the last turn.
    public var question: String
    /// The expected answer.
    public var expected: String
    /// What the base answered.
    public var base: FlippedAnswersView
    /// What the candidate answered.
    public var candidate: FlippedAnswersView

    /// Makes one from its parts.
    public init(
        benchmark: String, item: Int, task: String? = nil, direction: String, question: String, expected: String, base: FlippedAnswersView,
        candidate: FlippedAnswersView
    ) {
        self.benchmark = benchmark
        self.item = item
        self.task = task
        self.direction = direction
        self.question = question
        self.expected = expected
        self.base = base
        self.candidate = candidate
    }
}

/// The answers of one evaluation to one item.
public struct FlippedAnswersView: Codable, Sendable, Equatable {
    /// The mean over the samples, from 0 to 1.
    public var score: Double
    /// The answers that were graded, one a sample; null where a response held none.
    public var answers: [String?]

    /// Makes one from its parts.
    public init(score: Double, answers: [String?]) {
        self.score = score
        self.answers = answers
    }
}

/// One page of the items that flipped, with the count of all.
public struct FlippedItemPage: Codable, Sendable, Equatable {
    /// In the order of the benchmarks and of their data.
    public var data: [FlippedItemView]
    /// All that flipped, on whatever page.
    public var total: Int
    /// True where a further page follows.
    public var hasMore: Bool
    /// What to give as `after` to get it.
    @Nullable public var next: String?

    enum CodingKeys: String, CodingKey {
        case data
        case total
        case hasMore = "has_more"
        case next
    }

    /// Makes one from its parts.
    public init(data: [FlippedItemView], total: Int, hasMore: Bool = false, next: String? = nil) {
        self.data = data
        self.total = total
        self.hasMore = hasMore
        self.next = next
    }
}
