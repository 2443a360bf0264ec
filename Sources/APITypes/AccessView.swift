/// A token that somebody may call the daemon with.
public struct TokenView: Codable, Sendable, Equatable {
    public var id: String
    public var name: String
    /// `read`, `submit` or `admin`.
    public var scope: String
    /// The projects that it is limited to; null for all.
    @Nullable public var projects: [String]?
    /// `active`, `expired` or `revoked`.
    public var state: String
    /// Who made it.
    public var createdBy: String
    /// RFC 3339, as all times here.
    public var createdAt: String
    /// Null where it does not expire.
    @Nullable public var expiresAt: String?
    /// To about a minute; null where it was never used.
    @Nullable public var lastUsedAt: String?
    @Nullable public var revokedAt: String?
    /// The token itself; shown once, when it is made.
    @Nullable public var token: String?

    enum CodingKeys: String, CodingKey {
        case id, name, scope, projects, state, token
        case createdBy = "created_by"
        case createdAt = "created_at"
        case expiresAt = "expires_at"
        case lastUsedAt = "last_used_at"
        case revokedAt = "revoked_at"
    }

    /// Makes one from its parts.
    public init(
        id: String, name: String, scope: String, projects: [String]?, state: String, createdBy: String, createdAt: String,
        expiresAt: String?, lastUsedAt: String?, revokedAt: String?, token: String?
    ) {
        self.id = id
        self.name = name
        self.scope = scope
        self.projects = projects
        self.state = state
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
        self.revokedAt = revokedAt
        self.token = token
    }
}

/// Every token, newest first.
public struct TokenListView: Codable, Sendable, Equatable {
    public var data: [TokenView]

    /// Makes one from its parts.
    public init(data: [TokenView]) { self.data = data }
}

/// A request that changed something, or was to; or several equal ones in a row.
public struct AuditView: Codable, Sendable, Equatable {
    public var id: Int64
    /// When the first was answered.
    public var at: String
    /// When the last was answered.
    public var lastAt: String
    /// How many it stands for.
    public var count: Int
    /// `token`, `configured`, `attempt`, `socket` or `anonymous`.
    public var actorKind: String
    /// The token's name, the attempt, or the user of the socket.
    @Nullable public var actor: String?
    /// Where it came from; null for the socket.
    @Nullable public var address: String?
    /// As the contract calls it.
    public var operation: String
    public var method: String
    /// Without the query.
    public var path: String
    /// What was named in the path, or made.
    public var targets: [String]
    /// The HTTP status of the answer.
    public var status: Int

    enum CodingKeys: String, CodingKey {
        case id, at, count, actor, address, operation, method, path, targets, status
        case lastAt = "last_at"
        case actorKind = "actor_kind"
    }

    /// Makes one from its parts.
    public init(
        id: Int64, at: String, lastAt: String, count: Int, actorKind: String, actor: String?, address: String?, operation: String,
        method: String, path: String, targets: [String], status: Int
    ) {
        self.id = id
        self.at = at
        self.lastAt = lastAt
        self.count = count
        self.actorKind = actorKind
        self.actor = actor
        self.address = address
        self.operation = operation
        self.method = method
        self.path = path
        self.targets = targets
        self.status = status
    }
}
