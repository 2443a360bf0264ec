import Domain
import JSON

/// Where events are sent.
public struct WebhookRecord: Sendable, Hashable {
    public var id: String
    public var url: String
    /// Signs what is sent; `whsec_` and base64.
    public var secret: String
    /// Kinds of events, in which `*` stands for anything: `job.failed`, `experiment.*`, `alert`.
    public var types: [String]
    /// `nil` for all projects.
    public var project: String?
    public var createdAt: Timestamp

    public init(id: String, url: String, secret: String, types: [String], project: String?, createdAt: Timestamp) {
        self.id = id
        self.url = url
        self.secret = secret
        self.types = types
        self.project = project
        self.createdAt = createdAt
    }

    static let columns = "id, url, secret, types, project, created_at_ms"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        url = row.text()
        secret = row.text()
        types = try row.json().array?.compactMap(\.string) ?? []
        project = row.optionalText()
        createdAt = row.timestamp()
    }

    /// Whether it is told of events of a kind.
    public func wants(_ kind: String) -> Bool {
        types.contains { $0 == kind || $0 == "*" || ($0.hasSuffix(".*") && kind.hasPrefix($0.dropLast())) }
    }
}

/// One event on its way to a webhook.
public struct DeliveryRecord: Sendable, Hashable {
    public enum State: String, Sendable, CaseIterable { case waiting, delivered, failed }

    public var id: String
    public var webhookID: String
    public var body: String
    public var state: State
    /// How often it was sent.
    public var tries: Int
    public var nextAt: Timestamp
    /// The receiver's last HTTP status.
    public var status: Int?
    /// Why it did not arrive.
    public var message: String?
    public var createdAt: Timestamp

    static let columns = "id, webhook_id, body, state, tries, next_at_ms, status, message, created_at_ms"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        webhookID = row.text()
        body = row.text()
        state = try row.word()
        tries = row.integer()
        nextAt = row.timestamp()
        status = row.optionalInteger()
        message = row.optionalText()
        createdAt = row.timestamp()
    }
}
