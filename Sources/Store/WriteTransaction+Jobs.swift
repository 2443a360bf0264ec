import Domain
import GRDB
import JSON

extension WriteTransaction {
    /// Sets what a job produced; objects.
    public func setOutputs(job: String, outputs: JSONValue?, summary: JSONValue?) throws {
        try update("UPDATE job SET outputs = ?, summary = ? WHERE id = ?", outputs?.text(), summary?.text(), id: job)
    }

    /// Sets the key under which an equal job finds this one.
    public func setCacheKey(job: String, _ key: String?) throws { try update("UPDATE job SET cache_key = ? WHERE id = ?", key, id: job) }

    /// Names the job whose outputs stand in; only a succeeded job may have one.
    public func setCachedFrom(job: String, _ source: String) throws {
        try update("UPDATE job SET cached_from = ? WHERE id = ?", source, id: job)
    }

    /// Sets the moment before which the job is not started.
    public func setNotBefore(job: String, _ moment: Timestamp?) throws {
        try update("UPDATE job SET not_before_ms = ? WHERE id = ?", moment?.milliseconds, id: job)
    }

    /// Sets the count of failed attempts.
    public func setFailures(job: String, _ count: Int) throws { try update("UPDATE job SET failures = ? WHERE id = ?", count, id: job) }

    /// Sets the priority, 0 to 100.
    public func setPriority(job: String, _ priority: Int) throws {
        try update("UPDATE job SET priority = ? WHERE id = ?", priority, id: job)
    }

    /// Keeps a job from starting, or lets it start again.
    public func setHeld(job: String, _ isHeld: Bool) throws { try update("UPDATE job SET held = ? WHERE id = ?", isHeld ? 1 : 0, id: job) }

    /// Sets what the micro-batch of the next attempt is divided by; at least 1.
    public func setMicroBatchDivisor(job: String, _ divisor: Int) throws {
        try update("UPDATE job SET micro_batch_divisor = ? WHERE id = ?", divisor, id: job)
    }

    /// Explains a job anew without changing its state, such as which resource it waits for. Appends no event.
    public func setReason(job: String, _ reason: Reason?, message: String?) throws {
        try update("UPDATE job SET reason = ?, message = ? WHERE id = ?", reason?.rawValue, message, id: job)
    }

    private func update(_ sql: String, _ values: (any DatabaseValueConvertible)?..., id: String) throws {
        guard try change(sql, values + [id]) == 1 else { throw StoreError(.notFound, "there is no job \(id)") }
    }
}
