import JSON

/// Why a job is where it is.
public struct ExplainView: Codable, Sendable, Equatable {
    /// The job that it belongs to.
    public var jobID: String
    /// Its state, in the words of the state machine.
    public var state: String
    /// A word for clients to compare.
    @Nullable public var reason: String?
    /// In plain sentences.
    public var message: String
    /// By when it should start if all before it run to their time limits; null where that cannot be told.
    @Nullable public var expectedAt: String?
    /// What still has to happen before it runs.
    public var waitsFor: [WaitView]
    /// What is known of its end.
    public var evidence: [EvidenceView]

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case state
        case reason
        case message
        case expectedAt = "expected_at"
        case waitsFor = "waits_for"
        case evidence
    }

    /// Makes one from its parts.
    public init(jobID: String, state: String, reason: String? = nil, message: String, waitsFor: [WaitView], evidence: [EvidenceView]) {
        self.jobID = jobID
        self.state = state
        self.reason = reason
        self.message = message
        self.waitsFor = waitsFor
        self.evidence = evidence
    }
}

/// One thing that a job waits for.
public struct WaitView: Codable, Sendable, Equatable {
    /// `need`, `resources`, `time`, `request`, `concurrency`, `quota`, `preemption` or `server`.
    public var kind: String
    /// An explanation for people.
    public var message: String
    /// For `need`: the job waited for.
    public var jobID: String?
    /// That job's name.
    public var name: String?
    /// That job's state.
    public var state: String?
    /// For `resources`: `gpus`, `cpus` or `memory_bytes`.
    public var resource: String?
    /// How much of it the job asks for.
    public var wanted: Int64?
    /// How much of it is free.
    public var free: Int64?
    /// For `time`: when the wait ends.
    public var until: String?
    /// Who holds what is missing.
    public var holders: [HolderView]?

    enum CodingKeys: String, CodingKey {
        case kind
        case message
        case jobID = "job_id"
        case name
        case state
        case resource
        case wanted
        case free
        case until
        case holders
    }

    /// Makes one from its parts.
    public init(
        kind: String, message: String, jobID: String? = nil, name: String? = nil, state: String? = nil, resource: String? = nil,
        wanted: Int64? = nil, free: Int64? = nil, until: String? = nil
    ) {
        self.kind = kind
        self.message = message
        self.jobID = jobID
        self.name = name
        self.state = state
        self.resource = resource
        self.wanted = wanted
        self.free = free
        self.until = until
    }
}

/// One observation that an explanation rests on.
public struct EvidenceView: Codable, Sendable, Equatable {
    /// Such as `exit_record`, `log`, `metric` or `outputs`.
    public var kind: String
    /// An explanation for people.
    public var message: String
    /// The attempt that it belongs to.
    public var attemptID: String?
    /// The observation as data.
    public var data: JSONValue?

    enum CodingKeys: String, CodingKey {
        case kind
        case message
        case attemptID = "attempt_id"
        case data
    }

    /// Makes one from its parts.
    public init(kind: String, message: String, attemptID: String? = nil, data: JSONValue? = nil) {
        self.kind = kind
        self.message = message
        self.attemptID = attemptID
        self.data = data
    }
}

/// A job that holds what another waits for.
public struct HolderView: Codable, Sendable, Equatable {
    /// The job.
    public var jobID: String
    /// How much it holds; bytes of memory, else a count.
    public var amount: Int64
    /// UUIDs, where it holds GPUs.
    public var gpus: [String]
    /// When its time limit ends it.
    @Nullable public var endsBy: String?

    enum CodingKeys: String, CodingKey {
        case jobID = "job_id"
        case amount
        case gpus
        case endsBy = "ends_by"
    }

    /// Makes one from its parts.
    public init(jobID: String, amount: Int64, gpus: [String], endsBy: String? = nil) {
        self.jobID = jobID
        self.amount = amount
        self.gpus = gpus
        self.endsBy = endsBy
    }
}
