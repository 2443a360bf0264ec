import Domain

/// The time for which an attempt held GPUs, and that in which they did nothing, in GPU-seconds.
public struct GPUAccount: Sendable, Hashable {
    public var gpuSeconds: Double
    public var idleSeconds: Double

    public init(gpuSeconds: Double, idleSeconds: Double) {
        self.gpuSeconds = gpuSeconds
        self.idleSeconds = idleSeconds
    }
}

/// What accounts are summed up by.
public enum GPUUsageColumn: Sendable {
    case project, user, experiment, job

    fileprivate var sql: String {
        switch self {
        case .project: "experiment.project"
        // Experiments say whose they are with a tag.
        case .user: "coalesce(json_extract(experiment.tags, '$.user'), '')"
        case .experiment: "experiment.id"
        case .job: "job.id"
        }
    }
}

/// GPU time of a project, an experiment or a job.
public struct GPUUsage: Sendable, Hashable {
    public var name: String
    public var gpuSeconds: Double
    public var idleSeconds: Double
    public var attempts: Int
}

extension WriteTransaction {
    /// Adds to the time for which an attempt held GPUs, and to that in which they did nothing.
    public func add(_ account: GPUAccount, attempt: String) throws {
        try execute(
            """
            INSERT INTO gpu_account (attempt_ordinal, gpu_seconds, idle_seconds) SELECT ordinal, ?2, ?3 FROM attempt WHERE id = ?1
            ON CONFLICT (attempt_ordinal) DO UPDATE SET gpu_seconds = gpu_seconds + ?2, idle_seconds = idle_seconds + ?3
            """, attempt, account.gpuSeconds, account.idleSeconds)
    }
}

extension ReadTransaction {
    /// GPU time since a moment, the most first. Shares count as parts; of an attempt that began before, its idle time counts in proportion.
    public func gpuUsage(by column: GPUUsageColumn, since: Timestamp, now: Timestamp) throws -> [GPUUsage] {
        let share =
            "CASE WHEN coalesce(json_extract(allocation, '$.gpu_share'), 0) > 0 THEN json_extract(allocation, '$.gpu_share') / 1000.0 ELSE 1 END"
        return try rows(
            """
            SELECT \(column.sql), sum(seconds * gpus_held), sum(idle * seconds / max(seconds, whole)), count(*) FROM (
                SELECT job_id, json_array_length(gpus) * \(share) AS gpus_held, coalesce(idle_seconds, 0) AS idle,
                    (ended - began) / 1000.0 AS whole, (ended - max(began, ?1)) / 1000.0 AS seconds
                FROM (
                    SELECT *, max(coalesce(finished_at_ms, ?2), coalesce(started_at_ms, created_at_ms)) AS ended,
                        coalesce(started_at_ms, created_at_ms) AS began
                    FROM attempt LEFT JOIN gpu_account ON attempt_ordinal = attempt.ordinal
                ) WHERE json_array_length(gpus) > 0 AND ended >= ?1
            ) JOIN job ON job.id = job_id JOIN experiment ON experiment.id = job.experiment_id
            GROUP BY 1 ORDER BY 2 DESC
            """, [since.milliseconds, now.milliseconds]
        ) { GPUUsage(name: $0.text(), gpuSeconds: $0.real(), idleSeconds: $0.optionalReal() ?? 0, attempts: $0.integer()) }
    }
}
