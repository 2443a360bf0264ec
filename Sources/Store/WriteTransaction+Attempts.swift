import Domain
import JSON

/// How a worker ended.
public struct AttemptEnd: Sendable, Hashable {
    public var exitCode: Int?
    /// The number of the signal that ended it.
    public var signal: Int?
    /// What it used of the machine; an object.
    public var resourceUsage: JSONValue?

    /// An end; `nil` for what is not known.
    public init(exitCode: Int? = nil, signal: Int? = nil, resourceUsage: JSONValue? = nil) {
        self.exitCode = exitCode
        self.signal = signal
        self.resourceUsage = resourceUsage
    }
}

extension WriteTransaction {
    /// Moves an attempt to `to` if it is in one of the states `from`.
    ///
    /// - Returns: The attempt after the change, or `nil` where it was in none of `from`.
    /// - Throws: `illegalTransition` for a way back: out of a terminal state, or to one that comes before.
    @discardableResult
    public func transition(
        attempt id: String, from: Set<AttemptState>, to: AttemptState, cause: Reason? = nil, message: String? = nil,
        end: AttemptEnd = AttemptEnd(), at: Timestamp
    ) throws -> AttemptRecord? {
        for state in from where state.isTerminal || (!to.isTerminal && to.order <= state.order) {
            throw StoreError(.illegalTransition, "an attempt does not go from \(state.rawValue) to \(to.rawValue)")
        }
        guard let previous = try row("SELECT state FROM attempt WHERE id = ?", [id], { try $0.word(AttemptState.self) }) else {
            throw StoreError(.notFound, "there is no attempt \(id)")
        }
        guard from.contains(previous) else { return nil }
        let sql = """
            UPDATE attempt SET state = ?, cause = ?, message = ?, exit_code = ?, signal = ?, rusage = ?,
                started_at_ms = coalesce(started_at_ms, ?), finished_at_ms = ?
            WHERE id = ? AND state = ? RETURNING \(AttemptRecord.columns)
            """
        let attempt = try row(
            sql,
            [
                to.rawValue, cause?.rawValue, message, end.exitCode, end.signal, end.resourceUsage?.text(),
                to == .running ? at.milliseconds : nil, to.isTerminal ? at.milliseconds : nil, id, previous.rawValue,
            ]
        ) { try AttemptRecord(&$0) }
        if let attempt { try appendState(of: attempt, previous: previous, at: at) }
        return attempt
    }

    /// Keeps what tells of the cause of an attempt's end; an array.
    public func setEvidence(attempt id: String, _ evidence: JSONValue) throws {
        try execute("UPDATE attempt SET evidence = ? WHERE id = ?", evidence.text(), id)
    }

    /// Keeps what the cluster calls an attempt.
    public func setExternalID(attempt id: String, _ externalID: String) throws {
        try execute("UPDATE attempt SET external_id = ? WHERE id = ?", externalID, id)
    }

    /// Keeps which GPUs of a cluster an attempt was given there.
    public func setGPUs(attempt id: String, _ gpus: [String]) throws {
        try execute("UPDATE attempt SET gpus = ? WHERE id = ?", JSONValue.array(gpus.map(JSONValue.string)).text(), id)
    }

    /// Takes a job whose attempt waits in a cluster's queue out of `queued`, as its next change of state needs it.
    ///
    /// - Returns: false where the job is not queued, or no attempt of it lives.
    @discardableResult
    public func leaveClusterQueue(job: String, at: Timestamp) throws -> Bool {
        guard try hasLiveAttempt(job: job) else { return false }
        return try transition(job: job, from: [.queued], to: .starting, at: at) != nil
    }

    func appendState(of attempt: AttemptRecord, previous: AttemptState?, at: Timestamp) throws {
        try appendEvent(
            "state", experiment: try experimentID(ofJob: attempt.jobID), job: attempt.jobID, attempt: attempt.id, at: at,
            payload: [
                "job_id": .string(attempt.jobID), "attempt_id": .string(attempt.id), "attempt": JSONValue(attempt.number),
                "state": .string(attempt.state.rawValue), "previous": JSONValue(previous?.rawValue),
                "cause": JSONValue(attempt.cause?.rawValue),
                "message": JSONValue(attempt.message), "exit_code": JSONValue(attempt.exitCode), "signal": JSONValue(attempt.signal),
            ])
    }
}

extension AttemptState {
    /// The place of a live state on the way to the end.
    fileprivate var order: Int {
        switch self {
        case .starting: 0
        case .running: 1
        case .stopping: 2
        case .succeeded, .failed, .cancelled, .paused, .lost: 3
        }
    }
}
