import Domain
import JSON

extension WriteTransaction {
    /// Moves a job to `to` if it is in one of the states `from`, and its experiment to the state that follows.
    ///
    /// - Returns: The job after the change, or `nil` where it was in none of `from`.
    /// - Throws: `illegalTransition` where the state machine has no way from one of `from` to `to`.
    @discardableResult
    public func transition(
        job id: String, from: Set<JobState>, to: JobState, reason: Reason? = nil, message: String? = nil, at: Timestamp
    ) throws -> JobRecord? {
        for state in from where !state.successors.contains(to) {
            throw StoreError(.illegalTransition, "a job does not go from \(state.rawValue) to \(to.rawValue)")
        }
        guard let job = try move(job: id, from: from, to: to, reason: reason, message: message, at: at) else { return nil }
        try refresh(experiment: job.experimentID, at: at)
        return job
    }

    /// Reopens a job that ended, at a user's request: its past attempts stay, its outputs and failures are forgotten.
    ///
    /// - Parameters:
    ///   - to: `waiting` or `queued`.
    ///   - evenSucceeded: reopens one that succeeded, too: a server that is needed again.
    /// - Returns: The job after the change, or `nil` where it is in no state that can be retried.
    /// - Throws: `conflict` where another experiment of the same name is active by now.
    @discardableResult
    public func reopen(
        job id: String, to: JobState = .waiting, reason: Reason? = .userRequest, message: String? = nil, evenSucceeded: Bool = false,
        at: Timestamp
    ) throws -> JobRecord? {
        guard to == .waiting || to == .queued else {
            throw StoreError(.illegalTransition, "a retried job starts as waiting or queued, not as \(to.rawValue)")
        }
        let from = evenSucceeded ? JobState.retryable.union([.succeeded]) : JobState.retryable
        guard try move(job: id, from: from, to: to, reason: reason, message: message, at: at) != nil else { return nil }
        try execute(
            """
            UPDATE job SET failures = 0, not_before_ms = NULL, cached_from = NULL, outputs = NULL, summary = NULL, started_at_ms = NULL,
                micro_batch_divisor = 1
            WHERE id = ?
            """, id)
        guard let job = try job(id) else { return nil }
        try refresh(experiment: job.experimentID, at: at)
        return job
    }

    /// Cancels every job of an experiment that holds no resources: those waiting, queued and paused. Returns them as they are now.
    public func cancelWaiting(experiment: String, reason: Reason = .cancelled, message: String? = nil, at: Timestamp) throws -> [JobRecord]
    {
        let ids = try rows(
            "SELECT id FROM job WHERE experiment_id = ? AND state IN ('waiting', 'queued', 'paused') ORDER BY position", [experiment]
        ) { $0.text() }
        let cancelled = try ids.compactMap {
            try move(job: $0, from: [.waiting, .queued, .paused], to: .cancelled, reason: reason, message: message, at: at)
        }
        try refresh(experiment: experiment, at: at)
        return cancelled
    }

    /// The conditional update and its event.
    private func move(job id: String, from: Set<JobState>, to: JobState, reason: Reason?, message: String?, at: Timestamp) throws
        -> JobRecord?
    {
        guard let previous = try row("SELECT state FROM job WHERE id = ?", [id], { try $0.word(JobState.self) }) else {
            throw StoreError(.notFound, "there is no job \(id)")
        }
        guard from.contains(previous) else { return nil }
        let sql = """
            UPDATE job SET state = ?, reason = ?, message = ?, queued_at_ms = coalesce(?, queued_at_ms),
                started_at_ms = coalesce(started_at_ms, ?), finished_at_ms = ?
            WHERE id = ? AND state = ? RETURNING \(JobRecord.columns)
            """
        let job = try row(
            sql,
            [
                to.rawValue, reason?.rawValue, message, to == .queued ? at.milliseconds : nil, to == .running ? at.milliseconds : nil,
                to.isTerminal ? at.milliseconds : nil, id, previous.rawValue,
            ]
        ) { try JobRecord(&$0) }
        if let job { try appendState(of: job, previous: previous, at: at) }
        return job
    }

    /// Sets the experiment's state to what follows from its jobs. Reads no more of the row than that needs: its
    /// spec may be megabytes, and this runs with every change of every job.
    private func refresh(experiment id: String, at: Timestamp) throws {
        let found = try row("SELECT name, project, state FROM experiment WHERE id = ?", [id]) {
            ($0.text(), $0.text(), try $0.word(ExperimentState.self))
        }
        guard let (name, project, previous) = found else { return }
        let state = ExperimentState.derived(from: try jobStates(experiment: id))
        guard state != previous else { return }
        if previous.isTerminal, !state.isTerminal { try requireNoActiveExperiment(named: name, project: project) }
        let cause = try cause(of: state, experiment: id)
        let changed = try change(
            "UPDATE experiment SET state = ?, reason = ?, message = ?, finished_at_ms = ? WHERE id = ? AND state = ?",
            [state.rawValue, cause.reason, cause.message, state.isTerminal ? at.milliseconds : nil, id, previous.rawValue])
        guard changed == 1 else { return }
        try appendState(
            ofExperiment: id, name: name, state: state, previous: previous, reason: cause.reason, message: cause.message, at: at)
    }

    /// The states that some job of an experiment is in: one look into an index for each state, however many jobs there are.
    private func jobStates(experiment: String) throws -> [JobState] {
        try JobState.allCases.filter { state in
            try row("SELECT 1 FROM job WHERE experiment_id = ? AND state = ? LIMIT 1", [experiment, state.rawValue]) { $0.integer() } != nil
        }
    }

    /// Throws `conflict` where an experiment of this name is active in the project.
    func requireNoActiveExperiment(named name: String, project: String) throws {
        let sql = "SELECT id FROM experiment WHERE project = ? AND name = ? AND finished_at_ms IS NULL"
        guard let other = try row(sql, [project, name], { $0.text() }) else { return }
        throw StoreError(.conflict, "the experiment '\(name)' (\(other)) is still active in the project '\(project)'")
    }

    /// The first job that decided an experiment's end speaks for it.
    private func cause(of state: ExperimentState, experiment: String) throws -> (reason: String?, message: String?) {
        guard state == .failed || state == .cancelled else { return (nil, nil) }
        let states = state == .failed ? "'failed', 'lost'" : "'cancelled'"
        let sql = """
            SELECT name, state, reason, message FROM job WHERE experiment_id = ? AND state IN (\(states))
            ORDER BY finished_at_ms, position LIMIT 1
            """
        return try row(sql, [experiment]) { row in
            let (name, state, reason, message) = (row.text(), row.text(), row.optionalText(), row.optionalText())
            let end = state == "lost" ? "was lost" : state == "failed" ? "failed" : "was cancelled"
            return (reason, "job '\(name)' \(end)\(message.map { ": \($0)" } ?? "")")
        } ?? (nil, nil)
    }

    func appendState(of job: JobRecord, previous: JobState?, at: Timestamp) throws {
        try appendEvent(
            "state", experiment: job.experimentID, job: job.id, at: at,
            payload: [
                "job_id": .string(job.id), "experiment_id": .string(job.experimentID), "name": .string(job.name),
                "state": .string(job.state.rawValue), "previous": JSONValue(previous?.rawValue), "reason": JSONValue(job.reason?.rawValue),
                "message": JSONValue(job.message),
            ])
    }

    func appendState(
        ofExperiment id: String, name: String, state: ExperimentState, previous: ExperimentState?, reason: String?, message: String?,
        at: Timestamp
    ) throws {
        try appendEvent(
            "state", experiment: id, at: at,
            payload: [
                "experiment_id": .string(id), "name": .string(name), "state": .string(state.rawValue),
                "previous": JSONValue(previous?.rawValue),
                "reason": JSONValue(reason), "message": JSONValue(message),
            ])
    }
}
