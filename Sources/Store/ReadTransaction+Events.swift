import Domain

/// Which events a stream carries.
public struct EventFilter: Sendable {
    public var experimentID: String?
    public var jobID: String?
    /// `nil` for all.
    public var types: Set<String>?

    /// A filter; what is left out does not restrict.
    public init(experimentID: String? = nil, jobID: String? = nil, types: Set<String>? = nil) {
        self.experimentID = experimentID
        self.jobID = jobID
        self.types = types
    }

    /// Whether a stream with this filter carries `event`.
    public func matches(_ event: EventRecord) -> Bool {
        (experimentID == nil || experimentID == event.experimentID) && (jobID == nil || jobID == event.jobID)
            && types?.contains(event.type) != false
    }
}

extension ReadTransaction {
    /// Events after a sequence number, in order.
    public func events(after seq: Int64, _ filter: EventFilter = EventFilter(), limit: Int) throws -> Page<EventRecord> {
        var conditions = Conditions()
        conditions.add("seq > ?", seq)
        conditions.add("experiment_id", equals: filter.experimentID)
        conditions.add("job_id", equals: filter.jobID)
        conditions.add("type", in: filter.types?.sorted())
        return try page("SELECT \(EventRecord.columns) FROM event\(conditions.sql) ORDER BY seq", conditions.arguments, limit: limit) {
            try EventRecord(&$0)
        }
    }

    /// The last sequence number that was given, 0 before the first; deleting old events does not change it.
    public func lastEventSeq() throws -> Int64 { try row("SELECT seq FROM sqlite_sequence WHERE name = 'event'") { $0.long() } ?? 0 }

    /// The sequence number of the oldest event that is kept; `nil` where there is none.
    public func firstEventSeq() throws -> Int64? { try row("SELECT min(seq) FROM event") { $0.optionalLong() } ?? nil }
}
