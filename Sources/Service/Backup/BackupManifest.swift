import JSON

/// What `backup.json` says of a backup. It is written last: a folder without it is no backup.
struct BackupManifest: Sendable {
    static let name = "backup.json"
    /// The list of files, one JSON object a line.
    static let listName = "files.jsonl"
    static let databaseName = "anneal.db"
    /// The highest format that this program reads.
    static let format = 1

    /// The daemon's version.
    var version: String
    var schemaVersion: Int
    var createdAt: String
    /// The data folder that was backed up.
    var dataDirectory: String
    var mode: BackupMode
    var files = 0
    var bytes: Int64 = 0
    /// Rows whose files were not there when the backup came to them.
    var missing: [String] = []
    /// Files outside of the data folder that rows name; they are not part of the backup.
    var external: [String] = []

    var document: JSONValue {
        [
            "format": .int(Int64(Self.format)), "anneal_version": .string(version), "schema_version": .int(Int64(schemaVersion)),
            "created_at": .string(createdAt), "data_directory": .string(dataDirectory), "mode": .string(mode.rawValue),
            "files": .int(Int64(files)), "bytes": .int(bytes), "missing": .array(missing.map(JSONValue.string)),
            "external": .array(external.map(JSONValue.string)),
        ]
    }

    init(version: String, schemaVersion: Int, createdAt: String, dataDirectory: String, mode: BackupMode) {
        self.version = version
        self.schemaVersion = schemaVersion
        self.createdAt = createdAt
        self.dataDirectory = dataDirectory
        self.mode = mode
    }

    /// Reads one. Throws `badRequest` where it is none, or of a form that this program does not know.
    init(_ document: JSONValue, path: String) throws {
        guard let format = document["format"]?.int else { throw ServiceError(.badRequest, "\(path) is no record of a backup") }
        guard format <= Self.format else {
            throw ServiceError(.badRequest, "\(path) has format \(format); this program reads up to \(Self.format): use a newer one")
        }
        guard let data = document["data_directory"]?.string, data.hasPrefix("/"), let schema = document["schema_version"]?.int,
            let mode = document["mode"]?.string.flatMap(BackupMode.init(rawValue:))
        else { throw ServiceError(.badRequest, "\(path) is damaged: 'data_directory', 'schema_version' or 'mode' is missing") }
        version = document["anneal_version"]?.string ?? "unknown"
        schemaVersion = schema
        createdAt = document["created_at"]?.string ?? "unknown"
        dataDirectory = data
        self.mode = mode
        files = document["files"]?.int ?? 0
        bytes = Int64(document["bytes"]?.int ?? 0)
        missing = (document["missing"]?.array ?? []).compactMap(\.string)
        external = (document["external"]?.array ?? []).compactMap(\.string)
    }
}

/// How a backup takes the files that belong to the database.
public enum BackupMode: String, Sendable, CaseIterable {
    /// The database alone.
    case database
    /// By hard links: at once and for no space, on the same file system. Files that are still written are copied.
    case link
    /// By copies, each with its hash.
    case copy
}

/// One line of the list of files.
struct BackedUpFile: Sendable, Hashable {
    /// Below the data folder, and below the backup's folder.
    var path: String
    var bytes: Int64
    /// Absent for a linked file, which was not read.
    var sha256: String?
    /// What a symbolic link points at.
    var target: String?

    var document: JSONValue {
        var members: JSONObject = ["path": .string(path), "bytes": .int(bytes)]
        if let sha256 { members["sha256"] = .string(sha256) }
        if let target { members["target"] = .string(target) }
        return .object(members)
    }

    var line: [UInt8] { JSONWriter().bytes(of: document) + [UInt8(ascii: "\n")] }

    init(path: String, bytes: Int64, sha256: String? = nil, target: String? = nil) {
        self.path = path
        self.bytes = bytes
        self.sha256 = sha256
        self.target = target
    }

    /// Reads a line; a path that leads out of the folder is refused.
    init(_ document: JSONValue) throws {
        guard let path = document["path"]?.string, let bytes = document["bytes"]?.int else {
            throw ServiceError(.badRequest, "the list of files is damaged")
        }
        guard RelativePath.isSafe(path) else { throw ServiceError(.badRequest, "the list of files names '\(path)', which is not inside") }
        self.init(path: path, bytes: Int64(bytes), sha256: document["sha256"]?.string, target: document["target"]?.string)
    }
}

/// Paths that come from outside.
enum RelativePath {
    /// Whether a path stays below the folder that it is read in.
    static func isSafe(_ path: String) -> Bool {
        // By bytes, as the kernel reads it: a mark after a slash makes one character of both.
        !path.isEmpty && !path.utf8.contains(0)
            && path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8)
            }
    }
}
