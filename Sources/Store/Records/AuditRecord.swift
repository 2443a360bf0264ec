import Domain
import JSON

/// A request that changed something, or was to: who, what, when, and how it went. Equal ones in a row stand in one record.
public struct AuditRecord: Sendable, Hashable {
    /// 0 before it is written.
    public var id: Int64 = 0
    public var at: Timestamp
    /// Of the last of the requests that it stands for.
    public var lastAt: Timestamp
    public var count = 1
    /// `token`, `configured`, `attempt`, `socket` or `anonymous`.
    public var actorKind: String
    /// The token's name, the attempt, or the user of the socket.
    public var actor: String?
    public var address: String?
    /// As the contract calls it.
    public var operation: String
    public var method: String
    /// Without the query.
    public var path: String
    /// What the path names.
    public var targets: [String]
    public var status: Int

    /// What was asked, once.
    public init(
        at: Timestamp, actorKind: String, actor: String?, address: String?, operation: String, method: String, path: String,
        targets: [String], status: Int
    ) {
        self.at = at
        lastAt = at
        self.actorKind = actorKind
        self.actor = actor
        self.address = address
        self.operation = operation
        self.method = method
        self.path = path
        self.targets = targets
        self.status = status
    }

    /// Whether another is the same but for its time.
    public func isRepeated(by other: AuditRecord) -> Bool {
        actorKind == other.actorKind && actor == other.actor && address == other.address && operation == other.operation
            && method == other.method && path == other.path && status == other.status
    }

    static let columns = "id, at_ms, last_at_ms, count, actor_kind, actor, address, operation, method, path, targets, status"

    init(_ row: inout ColumnReader) throws {
        id = row.long()
        at = row.timestamp()
        lastAt = row.timestamp()
        count = row.integer()
        actorKind = row.text()
        actor = row.optionalText()
        address = row.optionalText()
        operation = row.text()
        method = row.text()
        path = row.text()
        targets = try row.json().array?.compactMap(\.string) ?? []
        status = row.integer()
    }
}

/// Which records of the audit log a list shows.
public struct AuditFilter: Sendable {
    public var actor: String?
    public var operation: String?
    public var since: Timestamp?

    /// A filter; what is left out does not restrict.
    public init(actor: String? = nil, operation: String? = nil, since: Timestamp? = nil) {
        self.actor = actor
        self.operation = operation
        self.since = since
    }
}

extension ReadTransaction {
    /// The audit log, newest first.
    ///
    /// - Parameter after: the number of the last one of the page before.
    public func audit(_ filter: AuditFilter, limit: Int, after: Int64?) throws -> Page<AuditRecord> {
        var conditions = Conditions()
        conditions.add("actor", equals: filter.actor)
        conditions.add("operation", equals: filter.operation)
        if let since = filter.since { conditions.add("last_at_ms >= ?", since.milliseconds) }
        if let after { conditions.add("id < ?", after) }
        return try page(
            "SELECT \(AuditRecord.columns) FROM audit\(conditions.sql) ORDER BY id DESC", conditions.arguments, limit: limit
        ) { try AuditRecord(&$0) }
    }
}

extension WriteTransaction {
    public func insert(audit record: AuditRecord) throws {
        try execute(
            "INSERT INTO audit (\(AuditRecord.columns)) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", record.at.milliseconds,
            record.lastAt.milliseconds, record.count, record.actorKind, record.actor, record.address, record.operation, record.method,
            record.path, JSONValue.array(record.targets.map(JSONValue.string)).text(), record.status)
    }

    /// Forgets what was done before a moment, and all but the newest `count` records.
    public func deleteAudit(before moment: Timestamp, keeping count: Int) throws {
        try execute("DELETE FROM audit WHERE at_ms < ?", moment.milliseconds)
        try execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", count)
    }
}
