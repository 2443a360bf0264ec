import Domain
import JSON

/// A version of a named dataset. Datasets of equal content share the file at `path`.
public struct DatasetRecord: Sendable, Hashable {
    public var id: String
    public var name: String
    /// 1 for the first content under the name.
    public var version: Int
    /// Of the content, in lower-case hexadecimal.
    public var sha256: String
    public var rows: Int
    public var bytes: Int64
    public var format: String
    public var path: String
    /// The job that made it.
    public var producedBy: String?
    /// The job's name for it, such as `train`.
    public var outputName: String?
    /// Where it came from, in the producer's words.
    public var source: JSONValue?
    public var createdAt: Timestamp
    /// What people noted on it.
    public var tags: [String: String] = [:]

    /// A dataset to register; the store gives it its version.
    public init(
        id: String, name: String, sha256: String, rows: Int, bytes: Int64, format: String, path: String, producedBy: String? = nil,
        outputName: String? = nil, source: JSONValue? = nil, createdAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.version = 0
        self.sha256 = sha256
        self.rows = rows
        self.bytes = bytes
        self.format = format
        self.path = path
        self.producedBy = producedBy
        self.outputName = outputName
        self.source = source
        self.createdAt = createdAt
    }

    static let columns = "id, name, version, sha256, rows, bytes, format, path, produced_by, output_name, source, created_at_ms"
    /// The columns and the tags, as `init` reads them.
    static let selected = columns + ", (SELECT json_group_object(key, value) FROM dataset_tag WHERE dataset_id = dataset.id)"

    init(_ row: inout ColumnReader) throws {
        id = row.text()
        name = row.text()
        version = row.integer()
        sha256 = row.text()
        rows = row.integer()
        bytes = row.long()
        format = row.text()
        path = row.text()
        producedBy = row.optionalText()
        outputName = row.optionalText()
        source = try row.optionalJSON()
        createdAt = row.timestamp()
        tags = (try row.optionalJSON()?.object ?? [:]).reduce(into: [:]) { $0[$1.key] = $1.value.string }
    }
}
