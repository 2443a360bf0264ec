import Domain
import JSON

extension WriteTransaction {
    public func insert(trackedRun run: TrackedRunRecord) throws {
        try execute(
            "INSERT INTO tracked_run (\(TrackedRunRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", run.id, run.jobID, run.name,
            run.prefix,
            run.user, run.status, run.startedAt.milliseconds, run.endedAt?.milliseconds, run.deletedAt?.milliseconds)
    }

    /// Changes the name, the state and the ends of a run.
    public func update(trackedRun run: TrackedRunRecord) throws {
        try execute(
            "UPDATE tracked_run SET name = ?, status = ?, ended_at_ms = ?, deleted_at_ms = ? WHERE id = ?", run.name, run.status,
            run.endedAt?.milliseconds, run.deletedAt?.milliseconds, run.id)
    }

    /// Keeps what a run was started with.
    ///
    /// - Parameter attempt: the number of the attempt that says so; what an earlier one said gives way.
    /// - Returns: the value that stands in the way, where the same attempt had said something else.
    public func setParam(run: String, key: String, value: String, attempt: Int) throws -> String? {
        let known = try row("SELECT value, attempt FROM run_param WHERE run_id = ? AND key = ?", [run, key]) { ($0.text(), $0.integer()) }
        if let known, known.0 == value { return nil }
        if let known, known.1 >= attempt { return known.0 }
        try execute("INSERT OR REPLACE INTO run_param (run_id, key, value, attempt) VALUES (?, ?, ?, ?)", run, key, value, attempt)
        return nil
    }

    /// Keeps a tag; `nil` takes it away. False where there was none to take away.
    @discardableResult
    public func setTag(run: String, key: String, value: String?) throws -> Bool {
        guard let value else { return try change("DELETE FROM run_tag WHERE run_id = ? AND key = ?", [run, key]) > 0 }
        try execute("INSERT OR REPLACE INTO run_tag (run_id, key, value) VALUES (?, ?, ?)", run, key, value)
        return true
    }

    public func insert(input: RunInputRecord, run: String) throws {
        try execute(
            "INSERT OR REPLACE INTO run_input (run_id, name, digest, document) VALUES (?, ?, ?, ?)", run, input.name, input.digest,
            input.document.text())
    }
}
