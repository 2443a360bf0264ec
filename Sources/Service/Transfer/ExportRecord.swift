import JSON
import Store

/// What the first member of an experiment's archive says of it.
struct ExportRecord: Sendable, Hashable {
    static let name = "export.json"
    static let databaseName = "anneal.db"
    /// The last member: every other one with its size and hash. An archive without it is cut off.
    static let manifestName = "manifest.json"
    /// The highest format that this program reads.
    static let format = 1

    /// The daemon's version.
    var version: String
    var experimentID: String
    var experimentName: String
    /// The data folder that paths in the rows begin with.
    var dataDirectory: String
    var exportedAt: String
    var choice: ExportChoice

    var document: JSONValue {
        [
            "format": .int(Int64(Self.format)), "anneal_version": .string(version),
            "experiment": ["id": .string(experimentID), "name": .string(experimentName)], "data_directory": .string(dataDirectory),
            "exported_at": .string(exportedAt), "artifacts": .string(choice.artifacts.rawValue), "checkpoints": .bool(choice.checkpoints),
        ]
    }

    init(
        version: String, experimentID: String, experimentName: String, dataDirectory: String, exportedAt: String, choice: ExportChoice
    ) {
        (self.version, self.experimentID, self.experimentName) = (version, experimentID, experimentName)
        (self.dataDirectory, self.exportedAt, self.choice) = (dataDirectory, exportedAt, choice)
    }

    /// Reads one; refuses what is none, or of a format that this program does not know.
    init(_ document: JSONValue) throws {
        guard let format = document["format"]?.int else { throw ServiceError(.badRequest, "\(Self.name) does not say its format") }
        let writer = document["anneal_version"]?.string ?? "unknown"
        guard format >= 1, format <= Self.format else {
            throw ServiceError(
                .badRequest,
                "the archive has format \(format), made by Anneal \(writer); this program reads up to \(Self.format): use a newer one")
        }
        guard let id = document["experiment"]?["id"]?.string, let name = document["experiment"]?["name"]?.string,
            let data = document["data_directory"]?.string, data.hasPrefix("/"), !data.hasSuffix("/"),
            let moment = document["exported_at"]?.string
        else { throw ServiceError(.badRequest, "\(Self.name) lacks what it must say") }
        self.init(
            version: writer, experimentID: id, experimentName: name, dataDirectory: data, exportedAt: moment,
            choice: ExportChoice(
                artifacts: document["artifacts"]?.string.flatMap(ExportChoice.Artifacts.init(rawValue:)) ?? .all,
                checkpoints: document["checkpoints"]?.bool ?? true))
    }
}

/// What of an experiment's files goes with its rows. Logs, metrics and the answers of evaluations always do.
public struct ExportChoice: Sendable, Hashable {
    public enum Artifacts: String, Sendable, CaseIterable {
        case all
        /// All but training checkpoints that nobody pinned and that no output, input or evaluation names.
        case selected
        case none
    }

    public var artifacts: Artifacts
    /// Whether checkpoints and models are among them.
    public var checkpoints: Bool

    public init(artifacts: Artifacts = .all, checkpoints: Bool = true) { (self.artifacts, self.checkpoints) = (artifacts, checkpoints) }
}

/// The bounds of archives that are taken.
public struct ImportLimits: Sendable {
    /// Files of an archive.
    public var filesMax = 1_000_000
    /// Bytes of all of them; the disk is the true limit.
    public var bytesMax: Int64 = 1 << 44
    /// Bytes of the rows.
    public var rowsBytesMax: Int64 = 4 << 30
    /// Bytes of the first member, and of the list of all.
    public var recordBytesMax: Int64 = 64 * 1024
    public var manifestBytesMax: Int64 = 256 << 20
    /// Bytes of a file's path in the archive.
    public var pathBytesMax = 1024

    public init() {}

    public static let standard = ImportLimits()
}
