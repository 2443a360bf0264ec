import Domain
import JSON

/// A submitted spec and how it stands.
public struct ExperimentRecord: Sendable, Hashable {
    public var id: String
    public var name: String
    public var project: String
    public var state: ExperimentState
    public var reason: Reason?
    public var message: String?
    public var description: String?
    /// An object of strings.
    public var tags: JSONValue
    /// The document after overrides; an object.
    public var spec: JSONValue
    /// The document as it was sent.
    public var document: String
    public var createdAt: Timestamp
    public var finishedAt: Timestamp?

    /// An experiment as it is submitted: pending.
    public init(
        id: String, name: String, project: String, description: String? = nil, tags: JSONValue = [:], spec: JSONValue, document: String,
        createdAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.project = project
        self.state = .pending
        self.description = description
        self.tags = tags
        self.spec = spec
        self.document = document
        self.createdAt = createdAt
    }

    static let columns = "id, name, project, state, reason, message, description, tags, spec, document, created_at_ms, finished_at_ms"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        name = row.text()
        project = row.text()
        state = try row.word()
        reason = row.optionalReason()
        message = row.optionalText()
        description = row.optionalText()
        tags = try row.json()
        spec = try row.json()
        document = row.text()
        createdAt = row.timestamp()
        finishedAt = row.optionalTimestamp()
    }
}
