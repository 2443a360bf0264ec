import JSON

/// A registered dataset.
public struct DatasetView: Codable, Sendable, Equatable {
    /// Its identifier.
    public var id: String
    /// Its name.
    public var name: String
    /// 1, 2 … under one name.
    public var version: Int
    /// Of the stored bytes, in hexadecimal.
    public var sha256: String
    /// Records.
    public var rows: Int
    /// Size on disk.
    public var bytes: Int64
    /// The form of its records, such as `messages`.
    public var format: String
    /// The job that made it; null for an upload.
    @Nullable public var producedBy: String?
    /// Where it came from: `{"kind": "upload" | "file" | "url", …}`; null for what a job made.
    @Nullable public var source: JSONValue?
    /// RFC 3339, UTC.
    public var createdAt: String
    /// What people noted on it.
    public var tags: [String: String] = [:]

    enum CodingKeys: String, CodingKey {
        case id
        case name
        case version
        case sha256
        case rows
        case bytes
        case format
        case producedBy = "produced_by"
        case source
        case createdAt = "created_at"
        case tags
    }

    /// Makes one from its parts.
    public init(
        id: String, name: String, version: Int, sha256: String, rows: Int, bytes: Int64, format: String, producedBy: String? = nil,
        createdAt: String
    ) {
        self.id = id
        self.name = name
        self.version = version
        self.sha256 = sha256
        self.rows = rows
        self.bytes = bytes
        self.format = format
        self.producedBy = producedBy
        self.createdAt = createdAt
    }
}

/// A dataset that a job fetches: it is registered when the job has succeeded.
public struct DatasetFetchView: Codable, Sendable, Equatable {
    /// The name that the dataset will have.
    public var name: String
    public var url: String
    public var experimentID: String
    public var jobID: String

    enum CodingKeys: String, CodingKey {
        case name, url
        case experimentID = "experiment_id"
        case jobID = "job_id"
    }

    /// Makes one from its parts.
    public init(name: String, url: String, experimentID: String, jobID: String) {
        self.name = name
        self.url = url
        self.experimentID = experimentID
        self.jobID = jobID
    }
}
