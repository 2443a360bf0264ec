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
    case project, experiment, job

    fileprivate var sql: String {
        switch self {
        case .project: "experiment.project"
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
    /// Keeps how long an attempt's GPUs did nothing.
    public func setAccount(attempt: String, _ account: GPUAccount) throws {
        try execute(
            """
            INSERT INTO gpu_account (attempt_ordinal, gpu_seconds, idle_seconds) SELECT ordinal, ?2, ?3 FROM attempt WHERE id = ?1
            ON CONFLICT (attempt_ordinal) DO UPDATE SET gpu_seconds = ?2, idle_seconds = ?3
            """, attempt, account.gpuSeconds, account.idleSeconds)
    }
}

extension ReadTransaction {
    /// What is known of an attempt's GPUs so far.
    public func account(attempt: String) throws -> GPUAccount? {
        try row(
            "SELECT gpu_seconds, idle_seconds FROM gpu_account JOIN attempt ON ordinal = attempt_ordinal WHERE attempt.id = ?", [attempt]
        ) { GPUAccount(gpuSeconds: $0.real(), idleSeconds: $0.real()) }
    }

    /// GPU time since a moment, the most first. Shares count as parts.
    public func gpuUsage(by column: GPUUsageColumn, since: Timestamp, now: Timestamp) throws -> [GPUUsage] {
        let share =
            "CASE WHEN coalesce(json_extract(allocation, '$.gpu_share'), 0) > 0 THEN json_extract(allocation, '$.gpu_share') / 1000.0 ELSE 1 END"
        return try rows(
            """
            SELECT \(column.sql),
                sum((max(0, coalesce(attempt.finished_at_ms, ?2) - max(coalesce(attempt.started_at_ms, attempt.created_at_ms), ?1))) / 1000.0
                    * json_array_length(attempt.gpus) * \(share)),
                sum(coalesce(idle_seconds, 0)), count(*)
            FROM attempt JOIN job ON job.id = attempt.job_id JOIN experiment ON experiment.id = job.experiment_id
            LEFT JOIN gpu_account ON attempt_ordinal = attempt.ordinal
            WHERE json_array_length(attempt.gpus) > 0 AND coalesce(attempt.finished_at_ms, ?2) >= ?1
            GROUP BY 1 ORDER BY 2 DESC LIMIT 1000
            """, [since.milliseconds, now.milliseconds]
        ) { GPUUsage(name: $0.text(), gpuSeconds: $0.real(), idleSeconds: $0.real(), attempts: $0.integer()) }
    }
}
