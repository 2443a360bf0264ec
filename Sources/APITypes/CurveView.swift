/// One metric over the steps of a job.
public struct CurveView: Codable, Sendable, Equatable {
    /// The job that it belongs to.
    public var jobID: String
    /// The name of the metric, such as `train/loss`.
    public var key: String
    /// By attempt's order, then step.
    public var points: [CurvePoint]

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case key
        case points
    }

    /// Makes one from its parts.
    public init(jobID: String, key: String, points: [CurvePoint]) {
        self.jobID = jobID
        self.key = key
        self.points = points
    }
}

/// One point of a curve.
public struct CurvePoint: Codable, Sendable, Equatable {
    /// The optimizer step, or units done.
    public var step: Int
    /// Unix seconds.
    public var time: Double
    /// What was measured.
    public var value: MetricValue
    /// The number of the attempt that wrote it.
    public var attempt: Int

    enum CodingKeys: String, CodingKey {
        case step
        case time
        case value
        case attempt
    }

    /// Makes one from its parts.
    public init(step: Int, time: Double, value: MetricValue, attempt: Int) {
        self.step = step
        self.time = time
        self.value = value
        self.attempt = attempt
    }
}

/// All metric keys of a job.
public struct MetricSummaryView: Codable, Sendable, Equatable {
    /// The job that it belongs to.
    public var jobID: String
    /// In alphabetical order.
    public var keys: [MetricKeySummary]
    /// Values, lines and records of its workers that could not be taken.
    public var dropped: Int
    /// Where the stream of events stood: after it, every later point is told once.
    public var seq: Int64

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case keys
        case dropped
        case seq
    }

    /// Makes one from its parts.
    public init(jobID: String, keys: [MetricKeySummary], dropped: Int = 0, seq: Int64 = 0) {
        self.jobID = jobID
        self.keys = keys
        self.dropped = dropped
        self.seq = seq
    }
}

/// One metric in brief.
public struct MetricKeySummary: Codable, Sendable, Equatable {
    /// The name of the metric, such as `train/loss`.
    public var key: String
    /// Where the points came from: native, mlflow, trackio, tensorboard, log or evaluation.
    public var source: String
    /// Points stored.
    public var count: Int
    /// The lowest step.
    public var firstStep: Int
    /// The highest step.
    public var lastStep: Int
    /// The newest value.
    public var last: MetricValue
    /// Of the finite values; null where there is none.
    @Nullable public var min: MetricValue?
    /// The largest finite value; null where there is none.
    @Nullable public var max: MetricValue?

    enum CodingKeys: String, CodingKey {
        case key
        case source
        case count
        case firstStep = "first_step"
        case lastStep = "last_step"
        case last
        case min
        case max
    }

    /// Makes one from its parts.
    public init(
        key: String, source: String = "native", count: Int, firstStep: Int, lastStep: Int, last: MetricValue, min: MetricValue? = nil,
        max: MetricValue? = nil
    ) {
        self.key = key
        self.source = source
        self.count = count
        self.firstStep = firstStep
        self.lastStep = lastStep
        self.last = last
        self.min = min
        self.max = max
    }
}
