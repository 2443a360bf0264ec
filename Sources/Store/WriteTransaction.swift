import Domain
import GRDB
import JSON

/// Changes to the database, and questions to it that see them. Valid only inside the closure that it was handed to.
public final class WriteTransaction: ReadTransaction {
    /// What the writes of this transaction appended so far; delivered after the commit.
    var events: [EventRecord] = []
    /// Points of metrics that the writes of this transaction added so far.
    var pointsAdded = 0
    /// The newest points of the attempts that write.
    let metricTails: MetricTails

    init(_ database: Database, limits: StoreLimits, metricTails: MetricTails) {
        self.metricTails = metricTails
        super.init(database, limits: limits)
    }

    /// The next number of the sequence that events and batches of points share.
    func nextSequence() throws -> Int64 { try lastEventSeq() + 1 }

    func execute(_ sql: String, _ arguments: (any DatabaseValueConvertible)?...) throws {
        try database.cachedStatement(sql: sql).execute(arguments: StatementArguments(arguments))
    }

    /// Executes and tells how many rows changed.
    func change(_ sql: String, _ arguments: [(any DatabaseValueConvertible)?]) throws -> Int {
        try database.cachedStatement(sql: sql).execute(arguments: StatementArguments(arguments))
        return database.changesCount
    }

    /// Appends an event; it is delivered to subscribers once the transaction is on disk.
    ///
    /// - Parameter payload: An object.
    @discardableResult
    public func appendEvent(
        _ type: String, experiment: String? = nil, job: String? = nil, attempt: String? = nil, at: Timestamp, payload: JSONValue
    ) throws -> EventRecord {
        try execute(
            "INSERT INTO event (seq, at_ms, type, experiment_id, job_id, attempt_id, payload) VALUES (?, ?, ?, ?, ?, ?, ?)",
            try nextSequence(), at.milliseconds, type, experiment, job, attempt, payload.text())
        let event = EventRecord(
            seq: database.lastInsertedRowID, at: at, type: type, experimentID: experiment, jobID: job, attemptID: attempt, payload: payload)
        events.append(event)
        try queueDeliveries(of: event)
        return event
    }

    /// Removes events up to and not including `seq`. Returns how many.
    @discardableResult
    public func deleteEvents(before seq: Int64) throws -> Int { try change("DELETE FROM event WHERE seq < ?", [seq]) }
}

extension JSONValue {
    /// A string, or null.
    init(_ text: String?) { self = text.map(JSONValue.string) ?? .null }
    /// An integer, or null.
    init(_ number: Int?) { self = number.map { .int(Int64($0)) } ?? .null }
}
