import Domain
import JSON

/// A token that somebody may call the daemon with, without the token itself.
public struct TokenRecord: Sendable, Hashable {
    public var id: String
    public var name: String
    /// SHA-256 of the token, in hexadecimal.
    public var hash: String
    public var scope: AccessScope
    /// The projects that it is limited to; `nil` for all.
    public var projects: [String]?
    /// Who made it.
    public var createdBy: String
    public var createdAt: Timestamp
    public var expiresAt: Timestamp?
    public var lastUsedAt: Timestamp?
    public var revokedAt: Timestamp?

    /// A token as it is made.
    public init(
        id: String, name: String, hash: String, scope: AccessScope, projects: [String]?, createdBy: String, createdAt: Timestamp,
        expiresAt: Timestamp?
    ) {
        self.id = id
        self.name = name
        self.hash = hash
        self.scope = scope
        self.projects = projects
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    static let columns =
        "id, name, hash, scope, projects, created_by, created_at_ms, expires_at_ms, last_used_at_ms, revoked_at_ms"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        name = row.text()
        hash = row.text()
        scope = try row.word()
        projects = try row.optionalJSON()?.array?.compactMap(\.string)
        createdBy = row.text()
        createdAt = row.timestamp()
        expiresAt = row.optionalTimestamp()
        lastUsedAt = row.optionalTimestamp()
        revokedAt = row.optionalTimestamp()
    }
}

extension ReadTransaction {
    /// Every token, newest first, revoked ones included.
    public func tokens() throws -> [TokenRecord] {
        try rows("SELECT \(TokenRecord.columns) FROM api_token ORDER BY id DESC") { try TokenRecord(&$0) }
    }

    /// The token of this identifier, or the one in force of this name.
    public func token(_ reference: String) throws -> TokenRecord? {
        let sql = "SELECT \(TokenRecord.columns) FROM api_token WHERE id = ?1 OR name = ?1 AND revoked_at_ms IS NULL LIMIT 1"
        return try row(sql, [reference]) { try TokenRecord(&$0) }
    }
}

extension WriteTransaction {
    public func insert(token: TokenRecord) throws {
        try execute(
            "INSERT INTO api_token (\(TokenRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", token.id, token.name, token.hash,
            token.scope.rawValue, token.projects.map { JSONValue.array($0.map(JSONValue.string)).text() }, token.createdBy,
            token.createdAt.milliseconds, token.expiresAt?.milliseconds, token.lastUsedAt?.milliseconds, token.revokedAt?.milliseconds)
    }

    /// Takes a token out of force. False where it was already.
    public func revoke(token id: String, at: Timestamp) throws -> Bool {
        try change("UPDATE api_token SET revoked_at_ms = ? WHERE id = ? AND revoked_at_ms IS NULL", [at.milliseconds, id]) > 0
    }

    /// Notes when a token was last shown.
    public func noteUse(ofToken id: String, at: Timestamp) throws {
        try execute("UPDATE api_token SET last_used_at_ms = ? WHERE id = ?", at.milliseconds, id)
    }
}
