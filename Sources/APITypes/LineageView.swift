import JSON

/// What made an artifact, and what was made from it.
public struct LineageView: Codable, Sendable, Equatable {
    /// The identifier that was asked for.
    public var id: String
    /// What it is.
    public var type: String
    /// Each thing once.
    public var nodes: [LineageNode]
    /// How the things are connected.
    public var edges: [LineageEdge]

    enum CodingKeys: String, CodingKey {
        case id
        case type
        case nodes
        case edges
    }

    /// Makes one from its parts.
    public init(id: String, type: String, nodes: [LineageNode], edges: [LineageEdge]) {
        self.id = id
        self.type = type
        self.nodes = nodes
        self.edges = edges
    }
}

/// A thing in a lineage.
public struct LineageNode: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// `experiment`, `job`, `dataset`, `checkpoint`, `evaluation`, `file`, `spec` or `code`.
    public var type: String
    /// Its name.
    public var name: String
    /// Of a job or an experiment.
    public var state: String?
    /// Of a file, dataset or checkpoint.
    public var path: String?
    /// Of its bytes, in hexadecimal.
    public var sha256: String?
    /// What else is known: rows, step, metrics, versions.
    public var detail: JSONValue?
    /// RFC 3339, UTC.
    public var createdAt: String?

    enum CodingKeys: String, CodingKey {
        case id
        case type
        case name
        case state
        case path
        case sha256
        case detail
        case createdAt = "created_at"
    }

    /// Makes one from its parts.
    public init(
        id: String, type: String, name: String, state: String? = nil, path: String? = nil, sha256: String? = nil,
        detail: JSONValue? = nil, createdAt: String? = nil
    ) {
        self.id = id
        self.type = type
        self.name = name
        self.state = state
        self.path = path
        self.sha256 = sha256
        self.detail = detail
        self.createdAt = createdAt
    }
}

/// One step of making.
public struct LineageEdge: Codable, Sendable, Equatable {
    /// What was used.
    public var from: String
    /// What used it or was made from it.
    public var to: String
    /// Such as `dataset`, `model`, `output` or `spec`.
    public var role: String

    enum CodingKeys: String, CodingKey {
        case from
        case to
        case role
    }

    /// Makes one from its parts.
    public init(from: String, to: String, role: String) {
        self.from = from
        self.to = to
        self.role = role
    }
}
