import Domain
import JSON

/// What a model scored.
public struct EvaluationRecord: Sendable, Hashable {
    public var id: String
    public var jobID: String
    public var attemptID: String?
    /// The model as the spec or the server names it.
    public var model: String
    /// The checkpoint, where the model is a registered one.
    public var modelArtifactID: String?
    /// The file with every answer.
    public var path: String?
    /// The benchmarks with their metrics; an object.
    public var document: JSONValue
    public var compare: JSONValue?
    public var gate: JSONValue?
    public var createdAt: Timestamp

    /// An evaluation that has ended.
    public init(
        id: String, jobID: String, attemptID: String? = nil, model: String, modelArtifactID: String? = nil, path: String? = nil,
        document: JSONValue, compare: JSONValue? = nil, gate: JSONValue? = nil, createdAt: Timestamp
    ) {
        self.id = id
        self.jobID = jobID
        self.attemptID = attemptID
        self.model = model
        self.modelArtifactID = modelArtifactID
        self.path = path
        self.document = document
        self.compare = compare
        self.gate = gate
        self.createdAt = createdAt
    }

    static let columns = "id, job_id, attempt_id, model, model_artifact_id, path, document, compare, gate, created_at_ms"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        jobID = row.text()
        attemptID = row.optionalText()
        model = row.text()
        modelArtifactID = row.optionalText()
        path = row.optionalText()
        document = try row.json()
        compare = try row.optionalJSON()
        gate = try row.optionalJSON()
        createdAt = row.timestamp()
    }
}
