import JSON

/// One event of `GET /v1/stream`, in the `data:` of its server-sent event or as a line of NDJSON.
public struct StreamEvent: Codable, Sendable, Equatable {
    /// Grows with every event; the `id:` of the server-sent event.
    public var seq: Int64
    /// `state`, `metric`, `log`, `gpu`, `checkpoint`, `evaluation`, `alert`, `gap` or `end`.
    public var type: String
    /// RFC 3339, UTC.
    public var at: String
    /// The experiment it belongs to.
    @Nullable public var experimentID: String?
    /// Null for an event of the experiment itself.
    @Nullable public var jobID: String?
    /// The attempt that it belongs to.
    @Nullable public var attemptID: String?
    /// By type: see the `…EventData` types.
    public var data: JSONValue

    enum CodingKeys: String, CodingKey {
        case seq
        case type
        case at
        case experimentID = "experiment_id"
        case jobID = "job_id"
        case attemptID = "attempt_id"
        case data
    }

    /// Makes one from its parts.
    public init(
        seq: Int64, type: String, at: String, experimentID: String? = nil, jobID: String? = nil, attemptID: String? = nil,
        data: JSONValue
    ) {
        self.seq = seq
        self.type = type
        self.at = at
        self.experimentID = experimentID
        self.jobID = jobID
        self.attemptID = attemptID
        self.data = data
    }
}

/// The `data` of a `state` event.
public struct StateEventData: Codable, Sendable, Equatable {
    /// Its state, in the words of the state machine.
    public var state: String
    /// The name of the job or experiment.
    @Nullable public var name: String?
    /// The state before.
    @Nullable public var previous: String?
    /// A word for clients to compare.
    @Nullable public var reason: String?
    /// An explanation for people.
    @Nullable public var message: String?

    enum CodingKeys: String, CodingKey {
        case state
        case name
        case previous
        case reason
        case message
    }

    /// Makes one from its parts.
    public init(state: String, name: String? = nil, previous: String? = nil, reason: String? = nil, message: String? = nil) {
        self.state = state
        self.name = name
        self.previous = previous
        self.reason = reason
        self.message = message
    }
}

/// The `data` of a `metric` event: points that a worker wrote.
public struct MetricEventData: Codable, Sendable, Equatable {
    /// The number of the attempt.
    public var attempt: Int
    /// In the order in which they were written.
    public var points: [MetricEventPoint]
    /// How far the job is now, not at the time of the event; left out where nothing is known.
    public var progress: ProgressView?

    enum CodingKeys: String, CodingKey {
        case attempt
        case points
        case progress
    }

    /// Makes one from its parts.
    public init(attempt: Int, points: [MetricEventPoint], progress: ProgressView? = nil) {
        self.attempt = attempt
        self.points = points
        self.progress = progress
    }
}

/// One point in a `metric` event.
public struct MetricEventPoint: Codable, Sendable, Equatable {
    /// The name of the metric, such as `train/loss`.
    public var key: String
    /// The optimizer step, or units done.
    public var step: Int
    /// Unix seconds.
    public var time: Double
    /// What was measured.
    public var value: MetricValue

    enum CodingKeys: String, CodingKey {
        case key
        case step
        case time
        case value
    }

    /// Makes one from its parts.
    public init(key: String, step: Int, time: Double, value: MetricValue) {
        self.key = key
        self.step = step
        self.time = time
        self.value = value
    }
}

/// The `data` of a `log` event of `/v1/jobs/{id}/logs`.
public struct LogEventData: Codable, Sendable, Equatable {
    /// The attempt that wrote it.
    @Nullable public var attemptID: String?
    /// `stdout` or `stderr`.
    public var stream: String
    /// Bytes of the log before this piece.
    public var offset: Int64
    /// Bytes of the log up to the end of this piece.
    public var end: Int64
    /// Bytes that are not UTF-8 stand as U+FFFD.
    public var text: String

    enum CodingKeys: String, CodingKey {
        case attemptID = "attempt_id"
        case stream
        case offset
        case end
        case text
    }

    /// Makes one from its parts.
    public init(attemptID: String? = nil, stream: String, offset: Int64, end: Int64, text: String) {
        self.attemptID = attemptID
        self.stream = stream
        self.offset = offset
        self.end = end
        self.text = text
    }
}
