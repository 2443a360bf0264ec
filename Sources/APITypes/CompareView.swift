/// Two evaluations, paired item by item.
public struct CompareView: Codable, Sendable, Equatable {
    /// Identifier of the evaluation compared against.
    public var base: String
    /// The newer side.
    public var candidate: String
    /// One entry for each benchmark of the spec.
    public var benchmarks: [BenchmarkComparison]

    enum CodingKeys: String, CodingKey {
        case base
        case candidate
        case benchmarks
    }

    /// Makes one from its parts.
    public init(base: String, candidate: String, benchmarks: [BenchmarkComparison]) {
        self.base = base
        self.candidate = candidate
        self.benchmarks = benchmarks
    }
}

/// One metric of one benchmark in both evaluations.
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
    /// Items that both evaluations answered.
    public var items: Int
    /// Items on which the candidate is better.
    public var improved: Int
    /// Items on which the candidate is worse.
    public var regressed: Int

    enum CodingKeys: String, CodingKey {
        case name
        case metric
        case base
        case candidate
        case difference
        case ciLow = "ci_low"
        case ciHigh = "ci_high"
        case pValue = "p_value"
        case items
        case improved
        case regressed
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
    }
}
