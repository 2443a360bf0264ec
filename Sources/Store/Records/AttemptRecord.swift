import Domain
import JSON

/// One execution of a job.
public struct AttemptRecord: Sendable, Hashable {
    public var id: String
    public var jobID: String
    /// 1 for the first attempt of the job.
    public var number: Int
    public var state: AttemptState
    public var exitCode: Int?
    /// The number of the signal that ended the worker.
    public var signal: Int?
    public var cause: Reason?
    public var message: String?
    /// UUIDs of the GPUs it was given.
    public var gpus: [String]
    public var cpus: Int
    public var memoryBytes: Int64
    /// The part of its one GPU in thousandths; 0 where it was given whole GPUs.
    public var gpuShare = 0
    /// Units of the machine's named counters.
    public var counters: [String: Int] = [:]
    /// The attempt's folder.
    public var directory: String
    /// The hash of the token that is valid for this attempt alone.
    public var tokenHash: String?
    /// The step of the checkpoint it continued from; `nil` where it began anew.
    public var resumedFromStep: Int?
    public var createdAt: Timestamp
    /// When the worker ran.
    public var startedAt: Timestamp?
    public var finishedAt: Timestamp?
    /// What the worker used of the machine; an object.
    public var resourceUsage: JSONValue?
    /// What tells of the cause of its end; an array.
    public var evidence: JSONValue?
    /// The cluster it runs on; `nil` for this machine.
    public var cluster: String?
    /// The cluster's own name for it, such as Slurm's job id; `nil` until the cluster has told it.
    public var externalID: String?

    /// An attempt that is being started.
    public init(
        id: String, jobID: String, number: Int, gpus: [String] = [], cpus: Int = 0, memoryBytes: Int64 = 0, directory: String,
        tokenHash: String? = nil, resumedFromStep: Int? = nil, createdAt: Timestamp
    ) {
        self.id = id
        self.jobID = jobID
        self.number = number
        self.state = .starting
        self.gpus = gpus
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        self.directory = directory
        self.tokenHash = tokenHash
        self.resumedFromStep = resumedFromStep
        self.createdAt = createdAt
    }

    /// What has no column of its own; `nil` where there is nothing.
    var allocationDocument: JSONValue? {
        guard gpuShare > 0 || !counters.isEmpty else { return nil }
        return ["gpu_share": .int(Int64(gpuShare)), "counters": JSONValue(counts: counters)]
    }

    static let columns = """
        id, job_id, number, state, exit_code, signal, cause, message, gpus, cpus, memory_bytes, directory, token_hash, \
        resumed_from_step, created_at_ms, started_at_ms, finished_at_ms, rusage, allocation, evidence, \
        cluster, external_id
        """

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        jobID = row.text()
        number = row.integer()
        state = try row.word()
        exitCode = row.optionalInteger()
        signal = row.optionalInteger()
        cause = row.optionalReason()
        message = row.optionalText()
        gpus = try row.json().array?.compactMap(\.string) ?? []
        cpus = row.integer()
        memoryBytes = row.long()
        directory = row.text()
        tokenHash = row.optionalText()
        resumedFromStep = row.optionalInteger()
        createdAt = row.timestamp()
        startedAt = row.optionalTimestamp()
        finishedAt = row.optionalTimestamp()
        resourceUsage = try row.optionalJSON()
        let allocation = try row.optionalJSON()
        gpuShare = allocation?["gpu_share"]?.int ?? 0
        counters = allocation?["counters"]?.object?.reduce(into: [:]) { $0[$1.key] = $1.value.int } ?? [:]
        evidence = try row.optionalJSON()
        cluster = row.optionalText()
        externalID = row.optionalText()
    }
}
