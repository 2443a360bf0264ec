import Domain

/// A project's place in the queue.
public struct ProjectRecord: Sendable, Hashable {
    public var name: String
    /// Its part of the machine in proportion to the other projects' weights.
    public var weight: Double
    /// The most GPUs that its jobs may hold at a time; `nil` for no limit.
    public var gpuLimit: Int?
    /// The most jobs that may wait, and run, at a time; `nil` for no limit.
    public var queuedLimit: Int?
    public var runningLimit: Int?
    /// Bytes of what its jobs made, above which no more are accepted; `nil` for no limit.
    public var artifactBytesLimit: Int64?
    /// Decayed GPU-seconds, as they were at `usageAt`.
    public var usageGPUSeconds: Double
    public var usageAt: Timestamp

    init(_ row: inout ColumnReader) throws {
        name = row.text()
        weight = row.real()
        gpuLimit = row.optionalInteger()
        usageGPUSeconds = row.real()
        usageAt = row.timestamp()
        queuedLimit = row.optionalInteger()
        runningLimit = row.optionalInteger()
        artifactBytesLimit = row.optionalLong()
    }
}

/// A GPU that an operator, or a fault, took out of use.
public struct GPUStateRecord: Sendable, Hashable {
    public var uuid: String
    public var isDrained: Bool
    public var reason: String?
    public var since: Timestamp

    init(_ row: inout ColumnReader) throws {
        uuid = row.text()
        isDrained = row.flag()
        reason = row.optionalText()
        since = row.timestamp()
    }
}

extension ReadTransaction {
    /// Every project that has terms or usage of its own, by name.
    public func projects() throws -> [ProjectRecord] {
        let sql = """
            SELECT name, weight, gpu_limit, usage_gpu_seconds, usage_at_ms, queued_limit, running_limit, artifact_bytes_limit FROM project
            ORDER BY name
            """
        return try rows(sql) { try ProjectRecord(&$0) }
    }

    /// Bytes of the checkpoints and datasets that a project's jobs made and that are there; content that two share counts for each.
    public func artifactBytes(project: String) throws -> Int64 {
        let sql = """
            SELECT coalesce(sum(bytes), 0) FROM (
                SELECT checkpoint.bytes FROM experiment JOIN job ON job.experiment_id = experiment.id
                JOIN checkpoint ON checkpoint.job_id = job.id WHERE experiment.project = ?1 AND checkpoint.deleted_at_ms IS NULL
                UNION ALL SELECT dataset.bytes FROM experiment JOIN job ON job.experiment_id = experiment.id
                JOIN dataset ON dataset.produced_by = job.id WHERE experiment.project = ?1)
            """
        return try row(sql, [project]) { $0.long() } ?? 0
    }

    /// Every GPU that was ever drained.
    public func gpuStates() throws -> [GPUStateRecord] {
        try rows("SELECT uuid, drained, reason, since_ms FROM gpu_state ORDER BY uuid") { try GPUStateRecord(&$0) }
    }
}

extension WriteTransaction {
    /// Sets a project's terms; its usage stays.
    public func setProject(_ name: String, weight: Double, gpuLimit: Int?) throws {
        try execute(
            """
            INSERT INTO project (name, weight, gpu_limit) VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET weight = excluded.weight, gpu_limit = excluded.gpu_limit
            """, name, weight, gpuLimit)
    }

    /// Sets how much of jobs and artifacts a project may have; the rest stays.
    public func setQuotas(project: String, queued: Int?, running: Int?, artifactBytes: Int64?) throws {
        try execute(
            """
            INSERT INTO project (name, queued_limit, running_limit, artifact_bytes_limit) VALUES (?, ?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET queued_limit = excluded.queued_limit, running_limit = excluded.running_limit,
            artifact_bytes_limit = excluded.artifact_bytes_limit
            """, project, queued, running, artifactBytes)
    }

    /// Sets a project's decayed GPU-seconds as of a moment; its terms stay.
    public func setUsage(project: String, gpuSeconds: Double, at: Timestamp) throws {
        try execute(
            """
            INSERT INTO project (name, usage_gpu_seconds, usage_at_ms) VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET usage_gpu_seconds = excluded.usage_gpu_seconds, usage_at_ms = excluded.usage_at_ms
            """, project, max(0, gpuSeconds), at.milliseconds)
    }

    /// Notes that a GPU is out of use, or in use again.
    public func setGPUState(uuid: String, drained: Bool, reason: String?, at: Timestamp) throws {
        try execute(
            """
            INSERT INTO gpu_state (uuid, drained, reason, since_ms) VALUES (?, ?, ?, ?)
            ON CONFLICT (uuid) DO UPDATE SET drained = excluded.drained, reason = excluded.reason, since_ms = excluded.since_ms
            """, uuid, drained ? 1 : 0, reason, at.milliseconds)
    }
}
