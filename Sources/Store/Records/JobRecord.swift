import Domain
import JSON

/// One node of an experiment and how it stands.
public struct JobRecord: Sendable, Hashable {
    public var id: String
    public var experimentID: String
    /// The place in the experiment, from 0.
    public var position: Int
    public var name: String
    public var kind: JobKind
    public var engine: String?
    /// The name that the members of a matrix share.
    public var group: String?
    /// The matrix values of this member; an object.
    public var matrix: JSONValue?
    public var state: JobState
    public var reason: Reason?
    public var message: String?
    /// 0 to 100; higher goes first.
    public var priority: Int
    public var resources: ResourceRequest
    public var timeout: Duration?
    /// From SIGTERM to SIGKILL.
    public var grace: Duration?
    public var retry: RetryPolicy
    public var terms: SchedulingTerms = SchedulingTerms()
    /// True while a user, or the spec, keeps it from starting.
    public var isHeld = false
    /// What the micro-batch of the next attempt is divided by.
    public var microBatchDivisor = 1
    public var cacheEnabled: Bool
    /// An object of strings.
    public var environment: JSONValue
    public var workingDirectory: String?
    /// The job's body from the document; an object.
    public var spec: JSONValue
    /// The text of `if`.
    public var condition: String?
    /// Not started before this moment.
    public var notBefore: Timestamp?
    /// Failed attempts since the submission or the last retry by a user.
    public var failures: Int
    public var cacheKey: String?
    /// The job whose outputs stand in for this one's.
    public var cachedFrom: String?
    public var outputs: JSONValue?
    public var summary: JSONValue?
    public var createdAt: Timestamp
    public var queuedAt: Timestamp?
    /// When the worker first ran.
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?

    /// A job as it is submitted; the rest of its members has defaults that can be set after.
    public init(
        id: String, experimentID: String, position: Int, name: String, kind: JobKind, state: JobState = .waiting, reason: Reason? = nil,
        priority: Int = 50, resources: ResourceRequest = ResourceRequest(), retry: RetryPolicy = RetryPolicy(), cacheEnabled: Bool = true,
        environment: JSONValue = [:], spec: JSONValue, createdAt: Timestamp
    ) {
        self.id = id
        self.experimentID = experimentID
        self.position = position
        self.name = name
        self.kind = kind
        self.state = state
        self.reason = reason
        self.priority = priority
        self.resources = resources
        self.retry = retry
        self.cacheEnabled = cacheEnabled
        self.environment = environment
        self.spec = spec
        self.failures = 0
        self.createdAt = createdAt
        self.queuedAt = state == .queued ? createdAt : nil
    }

    static let columns = """
        id, experiment_id, position, name, kind, engine, job_group, matrix, state, reason, message, priority, gpus, cpus, memory_bytes, \
        timeout_ms, grace_ms, retry_limit, retry_delay_ms, retry_backoff, cache_enabled, environment, working_directory, spec, condition, \
        not_before_ms, failures, cache_key, cached_from, outputs, summary, created_at_ms, queued_at_ms, started_at_ms, finished_at_ms, \
        policy, held, micro_batch_divisor
        """

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        experimentID = row.text()
        position = row.integer()
        name = row.text()
        kind = try row.word()
        engine = row.optionalText()
        group = row.optionalText()
        matrix = try row.optionalJSON()
        state = try row.word()
        reason = row.optionalReason()
        message = row.optionalText()
        priority = row.integer()
        resources = ResourceRequest(gpus: row.integer(), cpus: row.integer(), memoryBytes: row.long())
        timeout = row.optionalLong().map(Duration.milliseconds)
        grace = row.optionalLong().map(Duration.milliseconds)
        retry = RetryPolicy(limit: row.integer(), delay: .milliseconds(row.long()), backoff: row.real())
        cacheEnabled = row.flag()
        environment = try row.json()
        workingDirectory = row.optionalText()
        spec = try row.json()
        condition = row.optionalText()
        notBefore = row.optionalTimestamp()
        failures = row.integer()
        cacheKey = row.optionalText()
        cachedFrom = row.optionalText()
        outputs = try row.optionalJSON()
        summary = try row.optionalJSON()
        createdAt = row.timestamp()
        queuedAt = row.optionalTimestamp()
        startedAt = row.optionalTimestamp()
        finishedAt = row.optionalTimestamp()
        try JobPolicyDocument.apply(try row.optionalJSON(), to: &self)
        isHeld = row.flag()
        microBatchDivisor = row.integer()
    }
}

/// What a list of an experiment's jobs shows of each; cheaper to read than a whole record.
public struct JobSummary: Sendable, Hashable {
    public var id: String
    public var name: String
    public var kind: JobKind
    public var group: String?
    public var matrix: JSONValue?
    public var state: JobState
    public var reason: Reason?

    static let columns = "id, name, kind, job_group, matrix, state, reason"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        name = row.text()
        kind = try row.word()
        group = row.optionalText()
        matrix = try row.optionalJSON()
        state = try row.word()
        reason = row.optionalReason()
    }
}

/// Something that a job consumed, by the place in its spec that names it.
public struct JobInputRecord: Sendable, Hashable {
    /// What kind of thing it is.
    public enum ArtifactType: String, Sendable, CaseIterable { case dataset, checkpoint, evaluation, file }

    public var jobID: String
    /// A JSON pointer into the job's spec.
    public var pointer: String
    /// Absent for a file that is no registered artifact.
    public var artifactID: String?
    public var artifactType: ArtifactType
    public var sha256: String?
    public var path: String?

    /// An input with its place.
    public init(jobID: String, pointer: String, artifactID: String?, artifactType: ArtifactType, sha256: String? = nil, path: String? = nil)
    {
        self.jobID = jobID
        self.pointer = pointer
        self.artifactID = artifactID
        self.artifactType = artifactType
        self.sha256 = sha256
        self.path = path
    }

    static let columns = "job_id, pointer, artifact_id, artifact_type, sha256, path"

    init(_ row: inout ColumnReader) throws {
        jobID = row.text()
        pointer = row.text()
        artifactID = row.optionalText()
        artifactType = try row.word()
        sha256 = row.optionalText()
        path = row.optionalText()
    }
}

extension JobRecord {
    /// Where a command's program writes event files beside its own folders; absolute. `nil` where the spec names no such place.
    public var logDirectory: String? {
        guard let folder = spec["log_dir"]?.string else { return nil }
        return folder.hasPrefix("/") ? folder : workingDirectory.map { $0 + "/" + folder }
    }
}
