import Domain
import JSON
import Store

/// A job with its references replaced by what they stand for.
struct ResolvedJob: Sendable {
    /// The body that the worker gets.
    var spec: JSONValue
    var inputs: [ResolvedInput]
    /// Equal for jobs that would compute the same.
    var cacheKey: String
}

/// One thing that a job consumes.
struct ResolvedInput: Sendable {
    /// Where in the job's body it is named.
    var pointer: JSONPointer
    /// The reference without its braces, such as `data.train`; `nil` for a path or an id.
    var reference: String?
    var kind: JobInputRecord.ArtifactType
    /// The artifact's id; `nil` for a path that is not registered.
    var id: String?
    var path: String
    /// SHA-256 of the content, for a folder of its listing with the hashes of its files.
    var sha256: String
    var format: String?
    var rows: Int?

    /// As the worker sees it in `job.json`.
    var document: JSONValue {
        var members: JSONObject = ["type": .string(kind.rawValue), "path": .string(path), "sha256": .string(sha256)]
        if let reference { members["reference"] = .string(reference) }
        if let id { members["id"] = .string(id) }
        if let format { members["format"] = .string(format) }
        if let rows { members["rows"] = .int(Int64(rows)) }
        return .object(members)
    }

    /// As lineage keeps it.
    func record(of jobID: String) -> JobInputRecord {
        JobInputRecord(jobID: jobID, pointer: pointer.description, artifactID: id, artifactType: kind, sha256: sha256, path: path)
    }
}
