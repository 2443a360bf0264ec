import Domain
import JSON

/// The stored answer to a request that carried an `Idempotency-Key`.
public struct IdempotencyRecord: Sendable, Hashable {
    public var key: String
    /// Method and path, such as `POST /v1/experiments`.
    public var route: String
    /// A hash of the request's body, to tell a replay from a misuse of the key.
    public var bodyHash: String
    public var status: Int
    /// An object of strings.
    public var headers: JSONValue
    public var body: [UInt8]
    public var createdAt: Timestamp

    /// An answer to keep.
    public init(key: String, route: String, bodyHash: String, status: Int, headers: JSONValue = [:], body: [UInt8], createdAt: Timestamp) {
        self.key = key
        self.route = route
        self.bodyHash = bodyHash
        self.status = status
        self.headers = headers
        self.body = body
        self.createdAt = createdAt
    }

    static let columns = "key, route, body_hash, status, headers, body, created_at_ms"

    init(_ row: inout ColumnReader) throws {
        key = row.text()
        route = row.text()
        bodyHash = row.text()
        status = row.integer()
        headers = try row.json()
        body = try row.bytes()
        createdAt = row.timestamp()
    }
}
