import Domain
import JSON

/// What became of a database that was brought back from a backup.
public struct RestoredJobs: Sendable, Hashable {
    /// Jobs that ran at the time of the backup and wait to run again.
    public var queued: [String] = []
    /// Jobs that were handed to a cluster and may still be there: they wait, held.
    public var held: [Place] = []
    /// Jobs that ran and whose end is not known.
    public var lost: [String] = []
    /// Jobs that were being cancelled.
    public var cancelled: [String] = []
    /// Jobs that start with the daemon; where all are held, those that would.
    public var waiting = 0

    /// Where a job may still be.
    public struct Place: Sendable, Hashable {
        public var job: String
        public var cluster: String
        /// What the cluster calls its attempt; `nil` where it had not told it.
        public var externalID: String?

        /// In words, such as `the cluster 'hpc' as job 17`.
        public var words: String { "the cluster '\(cluster)'" + (externalID.map { " as job \($0)" } ?? "") }
    }
}

// What a backup says of its own time is brought to the present of the folder that it was restored to.
extension WriteTransaction {
    /// Ends every attempt that ran at the time of the backup: its process, if it lives, is another machine's, and nothing may signal it.
    ///
    /// Its job goes back to the queue where its retry policy leaves it an attempt, or where a checkpoint or finished answers let it go
    /// on; it is cancelled where that had been asked for, and lost otherwise, since what it did after the backup is not known. What was
    /// handed to a cluster may still wait or run there, under the daemon that the backup is of: such a job is held besides, so that
    /// nothing runs twice before somebody has looked.
    ///
    /// - Parameter holds: whether jobs that have not ended are held, so that none starts until it is released.
    public func settleRestored(holds: Bool, at: Timestamp) throws -> RestoredJobs {
        let live = try rows(
            """
            SELECT job.id, attempt.id, attempt.cluster, attempt.external_id, job.state, job.reason, job.failures < job.retry_limit
                OR EXISTS (SELECT 1 FROM checkpoint WHERE checkpoint.job_id = job.id AND deleted_at_ms IS NULL AND checkpoint.kind = 'training')
                OR EXISTS (SELECT 1 FROM generation_pass WHERE generation_pass.job_id = job.id AND done > 0)
            FROM job LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.finished_at_ms IS NULL
            WHERE job.state IN ('starting', 'running', 'stopping') OR attempt.id IS NOT NULL ORDER BY job.id
            """
        ) { row in
            let (job, attempt, cluster, external) = (row.text(), row.optionalText(), row.optionalText(), row.optionalText())
            return LiveJob(
                id: job, attempt: attempt, place: cluster.map { RestoredJobs.Place(job: job, cluster: $0, externalID: external) },
                state: try row.word(JobState.self), reason: row.optionalReason(), canGoOn: row.flag())
        }
        var found = RestoredJobs()
        for job in live { try settle(job, &found, at) }
        try execute("UPDATE attempt SET token_hash = NULL WHERE token_hash IS NOT NULL")
        if holds { try execute("UPDATE job SET held = 1 WHERE finished_at_ms IS NULL AND state IN ('waiting', 'queued')") }
        let free = holds ? "" : " AND held = 0"
        found.waiting = try row("SELECT count(*) FROM job WHERE state IN ('waiting', 'queued')\(free)") { $0.integer() } ?? 0
        return found
    }

    /// A job that had an attempt, or was about to, when the backup was taken.
    private struct LiveJob {
        let id: String
        let attempt: String?
        /// Where it may still run; `nil` for the machine of the daemon.
        let place: RestoredJobs.Place?
        let state: JobState
        let reason: Reason?
        let canGoOn: Bool
    }

    private func settle(_ job: LiveJob, _ found: inout RestoredJobs, _ at: Timestamp) throws {
        let message =
            job.place.map { "the daemon that the backup is of had handed it to \($0.words), where it may still be" }
            ?? "it ran when the backup was taken that this daemon was restored from"
        if let attempt = job.attempt {
            try transition(attempt: attempt, from: [.starting, .running, .stopping], to: .lost, cause: .restored, message: message, at: at)
        }
        func queue() throws {
            if job.state == .queued {
                try setReason(job: job.id, .restored, message: message)
            } else {
                try transition(job: job.id, from: [job.state], to: .queued, reason: .restored, message: message, at: at)
            }
            guard let place = job.place else { return found.queued.append(job.id) }
            try setHeld(job: job.id, true)
            found.held.append(place)
        }
        switch (job.state, job.reason) {
        case (.queued, _): try queue()
        case (.stopping, .cancelled?), (.stopping, .superseded?):
            try transition(job: job.id, from: [job.state], to: .cancelled, reason: job.reason, message: message, at: at)
            found.cancelled.append(job.id)
        case (.stopping, .paused?):
            try transition(job: job.id, from: [job.state], to: .paused, reason: .userRequest, message: message, at: at)
        default:
            if job.canGoOn || job.attempt == nil { return try queue() }
            let advice = message + "; 'anneal retry' runs it again"
            try transition(job: job.id, from: [job.state], to: .lost, reason: .restored, message: advice, at: at)
            found.lost.append(job.id)
        }
    }

    /// Lets every path below the data folder `old` name the same place below `new`.
    public func relocateData(from old: String, to new: String) throws {
        // Hashes are kept by device and inode, and how far files were read is of no use without their attempts.
        try execute("DELETE FROM file_hash")
        guard old != new else { return }
        let (oldPrefix, newPrefix) = (old + "/", new + "/")
        let columns = [
            ("attempt", "directory"), ("dataset", "path"), ("checkpoint", "path"), ("evaluation", "path"), ("evaluation", "model"),
            ("job_input", "path"),
            ("metric_cursor", "path"),
        ]
        let length = oldPrefix.unicodeScalars.count
        for (table, column) in columns {
            try execute(
                "UPDATE \(table) SET \(column) = ? || substr(\(column), ? + 1) WHERE substr(\(column), 1, ?) = ?", newPrefix, length,
                length,
                oldPrefix)
        }
        // In documents a path begins after its quotation mark; the rest of the mark's string is left as it is.
        func opening(_ prefix: String) -> String { String(JSONValue.string(prefix).text().dropLast()) }
        for (table, column) in [("job", "outputs"), ("job", "summary"), ("evaluation", "document"), ("dataset", "source")] {
            try execute(
                "UPDATE \(table) SET \(column) = replace(\(column), ?, ?) WHERE instr(\(column), ?) > 0", opening(oldPrefix),
                opening(newPrefix), opening(oldPrefix))
        }
    }

    /// Marks a checkpoint as removed whose files were gone when the backup came to them. A pinned one stays as it is.
    public func markRemoved(checkpoint id: String, at: Timestamp) throws {
        try execute("UPDATE checkpoint SET deleted_at_ms = ? WHERE id = ? AND pinned = 0 AND deleted_at_ms IS NULL", at.milliseconds, id)
    }
}
