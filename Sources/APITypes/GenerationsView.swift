import JSON

/// How far the generations of a job are, as `GET /v1/jobs/{id}/generations` gives it. Of a job that merges chunks it is their sum.
public struct GenerationsView: Codable, Sendable, Equatable {
    /// Its identifier.
    public var jobID: String
    /// The job's state.
    public var state: String
    /// Records of the data that are asked about.
    public var records: Int
    /// Generations to be made: records times passes.
    public var total: Int
    /// Generations that are there.
    public var done: Int
    /// Records that were given up and have not come since.
    public var failed: Int
    /// Of the done ones, those that were taken over from earlier jobs.
    public var reused: Int
    /// Tokens that the servers counted.
    public var tokens: Int
    /// Generations by why they ended: `stop`, `length`, `tool_calls`, `other`.
    public var finishReasons: [String: Int]
    /// The part of them that was cut at the longest length.
    @Nullable public var truncatedShare: Double?
    /// At present; null where nothing runs.
    @Nullable public var requestsInFlight: Int?
    /// At present, smoothed.
    @Nullable public var tokensPerSecond: Double?
    /// At present, smoothed.
    @Nullable public var recordsPerSecond: Double?
    /// An estimate: what is left at the present rate.
    @Nullable public var etaSeconds: Double?
    /// By chunk and seed.
    public var passes: [GenerationPassView]
    /// The first page of what failed.
    public var failures: Page<GenerationFailureView>

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case state, records, total, done, failed, reused, tokens
        case finishReasons = "finish_reasons"
        case truncatedShare = "truncated_share"
        case requestsInFlight = "requests_in_flight"
        case tokensPerSecond = "tokens_per_second"
        case recordsPerSecond = "records_per_second"
        case etaSeconds = "eta_seconds"
        case passes, failures
    }

    /// One to be filled.
    public init(jobID: String, state: String) {
        (self.jobID, self.state) = (jobID, state)
        (records, total, done, failed, reused, tokens) = (0, 0, 0, 0, 0, 0)
        finishReasons = [:]
        passes = []
        failures = Page(data: [])
    }
}

/// One pass over (a chunk of) the records with one seed.
public struct GenerationPassView: Codable, Sendable, Equatable {
    /// A stretch of records, by their places in the data, both ends in.
    public struct Stretch: Codable, Sendable, Equatable {
        public var from: Int
        public var to: Int

        /// Makes one from its ends.
        public init(from: Int, to: Int) { (self.from, self.to) = (from, to) }
    }

    public var jobID: String
    public var seed: Int
    public var chunk: Int
    /// The place of its first record in the data.
    public var first: Int
    public var total: Int
    public var done: Int
    public var failed: Int
    public var reused: Int
    public var tokens: Int
    /// `complete`, `running`, `waiting` (for its turn) or `incomplete` (nothing works on it).
    public var state: String
    /// The first records that are missing where it is incomplete.
    public var missing: [Stretch]
    /// When its first and its newest record came.
    @Nullable public var firstAt: String?
    @Nullable public var lastAt: String?

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case seed, chunk, first, total, done, failed, reused, tokens, state, missing
        case firstAt = "first_at"
        case lastAt = "last_at"
    }

    /// Makes one from its parts.
    public init(
        jobID: String, seed: Int, chunk: Int, first: Int, total: Int, done: Int, failed: Int, reused: Int, tokens: Int, state: String,
        missing: [Stretch] = [], firstAt: String?, lastAt: String?
    ) {
        (self.jobID, self.seed, self.chunk, self.first, self.total) = (jobID, seed, chunk, first, total)
        (self.done, self.failed, self.reused, self.tokens) = (done, failed, reused, tokens)
        (self.state, self.missing, self.firstAt, self.lastAt) = (state, missing, firstAt, lastAt)
    }
}

/// A record that was given up and has not come since.
public struct GenerationFailureView: Codable, Sendable, Equatable {
    public var jobID: String
    public var seed: Int
    /// Its place in the data.
    public var record: Int
    /// `timeout`, `closed`, `server_error`, `garbage`, `refused` …
    public var cause: String
    public var message: String
    /// Requests in all attempts.
    public var tries: Int
    public var at: String

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case seed, record, cause, message, tries, at
    }

    /// Makes one from its parts.
    public init(jobID: String, seed: Int, record: Int, cause: String, message: String, tries: Int, at: String) {
        (self.jobID, self.seed, self.record, self.cause) = (jobID, seed, record, cause)
        (self.message, self.tries, self.at) = (message, tries, at)
    }
}

/// Sample generations.
public struct GenerationSamplesView: Codable, Sendable, Equatable {
    public var data: [GenerationSampleView]

    /// Makes one from its parts.
    public init(data: [GenerationSampleView]) { self.data = data }
}

/// One generation with what it was asked with.
public struct GenerationSampleView: Codable, Sendable, Equatable {
    public var jobID: String
    public var seed: Int
    /// The record's place in the data; null where a large file does not tell it.
    @Nullable public var record: Int?
    /// The input's fields; null where they are too long to show.
    @Nullable public var input: JSONValue?
    public var generation: String
    /// Whether the generation is longer than what is shown.
    public var isCut: Bool
    @Nullable public var tokens: Int?
    @Nullable public var finishReason: String?
    /// How long the request took.
    @Nullable public var seconds: Double?

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case seed, record, input, generation, tokens, seconds
        case isCut = "is_cut"
        case finishReason = "finish_reason"
    }

    /// Makes one from its parts.
    public init(
        jobID: String, seed: Int, record: Int?, input: JSONValue?, generation: String, isCut: Bool, tokens: Int?, finishReason: String?,
        seconds: Double?
    ) {
        (self.jobID, self.seed, self.record, self.input, self.generation) = (jobID, seed, record, input, generation)
        (self.isCut, self.tokens, self.finishReason, self.seconds) = (isCut, tokens, finishReason, seconds)
    }
}
