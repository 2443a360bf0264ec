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

/// The `data` of a `metric` event: what a worker wrote for one step.
public struct MetricEventData: Codable, Sendable, Equatable {
    /// The optimizer step, or units done.
    public var step: Int
    /// Unix seconds.
    public var time: Double
    /// The number of the attempt.
    public var attempt: Int
    /// By key.
    public var values: OrderedMap<MetricValue>
    /// How far it is.
    public var progress: ProgressView?

    enum CodingKeys: String, CodingKey {
        case step
        case time
        case attempt
        case values
        case progress
    }

    /// Makes one from its parts.
    public init(step: Int, time: Double, attempt: Int, values: OrderedMap<MetricValue>, progress: ProgressView? = nil) {
        self.step = step
        self.time = time
        self.attempt = attempt
        self.values = values
        self.progress = progress
    }
}

/// The `data` of a `log` event, on `/v1/stream` and on the event form of `/v1/jobs/{id}/logs`.
public struct LogEventData: Codable, Sendable, Equatable {
    /// The number of the attempt.
    public var attempt: Int
    /// `stdout` or `stderr`.
    public var stream: String
    /// Bytes of the log before this piece.
    public var offset: Int64
    /// Bytes of the log up to the end of this piece.
    public var end: Int64
    /// Bytes that are not UTF-8 stand as U+FFFD.
    public var text: String

    enum CodingKeys: String, CodingKey {
        case attempt
        case stream
        case offset
        case end
        case text
    }

    /// Makes one from its parts.
    public init(attempt: Int, stream: String, offset: Int64, end: Int64, text: String) {
        self.attempt = attempt
        self.stream = stream
        self.offset = offset
        self.end = end
        self.text = text
    }
}
