/// Where events are sent.
public struct WebhookView: Codable, Sendable, Equatable {
    public var id: String
    public var url: String
    /// Kinds of events, in which `*` stands for anything.
    public var types: [String]
    /// Null for all projects.
    @Nullable public var project: String?
    /// RFC 3339.
    public var createdAt: String
    /// Signs what is sent; shown once, when the webhook is made.
    @Nullable public var secret: String?

    enum CodingKeys: String, CodingKey {
        case id, url, types, project, secret
        case createdAt = "created_at"
    }

    /// Makes one from its parts.
    public init(id: String, url: String, types: [String], project: String?, createdAt: String, secret: String?) {
        self.id = id
        self.url = url
        self.types = types
        self.project = project
        self.createdAt = createdAt
        self.secret = secret
    }
}

/// Every webhook.
public struct WebhookListView: Codable, Sendable, Equatable {
    public var data: [WebhookView]

    /// Makes one from its parts.
    public init(data: [WebhookView]) { self.data = data }
}

/// One message to a webhook.
public struct DeliveryView: Codable, Sendable, Equatable {
    /// What the receiver gets as `webhook-id`; the same for each time it is sent.
    public var id: String
    /// `waiting`, `delivered` or `failed`.
    public var state: String
    /// How often it was sent.
    public var tries: Int
    /// When it is sent next; null where it is settled.
    @Nullable public var nextAt: String?
    /// The receiver's last HTTP status.
    @Nullable public var status: Int?
    /// Why it did not arrive.
    @Nullable public var message: String?
    /// RFC 3339.
    public var createdAt: String

    enum CodingKeys: String, CodingKey {
        case id, state, tries, status, message
        case nextAt = "next_at"
        case createdAt = "created_at"
    }

    /// Makes one from its parts.
    public init(id: String, state: String, tries: Int, nextAt: String?, status: Int?, message: String?, createdAt: String) {
        self.id = id
        self.state = state
        self.tries = tries
        self.nextAt = nextAt
        self.status = status
        self.message = message
        self.createdAt = createdAt
    }
}
