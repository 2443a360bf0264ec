import Domain

extension ReadTransaction {
    /// The attempt with this identifier.
    public func attempt(_ id: String) throws -> AttemptRecord? {
        try row("SELECT \(AttemptRecord.columns) FROM attempt WHERE id = ?", [id]) { try AttemptRecord(&$0) }
    }

    /// The attempt that a worker's token stands for.
    public func attempt(tokenHash: String) throws -> AttemptRecord? {
        try row("SELECT \(AttemptRecord.columns) FROM attempt WHERE token_hash = ?", [tokenHash]) { try AttemptRecord(&$0) }
    }

    /// The attempts of a job, first to last.
    public func attempts(job: String) throws -> [AttemptRecord] {
        try rows("SELECT \(AttemptRecord.columns) FROM attempt WHERE job_id = ? ORDER BY number", [job]) { try AttemptRecord(&$0) }
    }

    /// How many attempts a job has had.
    public func attemptCount(job: String) throws -> Int {
        try row("SELECT count(*) FROM attempt WHERE job_id = ?", [job]) { $0.integer() } ?? 0
    }

    /// Whether an attempt of a job has not ended.
    public func hasLiveAttempt(job: String) throws -> Bool {
        try row("SELECT 1 FROM attempt WHERE job_id = ? AND finished_at_ms IS NULL", [job]) { $0.integer() } != nil
    }

    /// Every attempt that has not ended, oldest first.
    public func liveAttempts() throws -> [AttemptRecord] {
        try rows("SELECT \(AttemptRecord.columns) FROM attempt WHERE finished_at_ms IS NULL ORDER BY id") { try AttemptRecord(&$0) }
    }
}
