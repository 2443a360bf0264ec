import Crypto
import Domain
import Glibc
import JSON
import Store

/// A whole archive, and how it becomes part of the data folder. Its methods block.
struct ExperimentImport: Sendable {
    let archive: ArchiveIntake
    let record: ExportRecord
    let manifest: ExportManifest
    let request: ImportRequest
    let configuration: ServiceConfiguration

    private var data: String { configuration.dataDirectory }
    /// The database of the experiment alone, as it goes to the daemon's.
    var rowsPath: String { archive.folder + "/rows.db" }

    /// What the rows say, as far as the daemon must know it before they are taken.
    struct Facts: Sendable {
        var id: String
        var name: String
        var project: String
        var identifiers: [IdentifierKind: [String]]
        var datasets: [ReceivedExperiment.Dataset]
    }

    /// Reads the rows, and holds the files against them.
    func facts() throws -> Facts {
        let received = try open()
        defer { received.close() }
        guard received.id == record.experimentID else {
            throw ServiceError(.badRequest, "the archive says \(record.experimentID) and its rows \(received.id)")
        }
        let attempts = Set(received.identifiers[.attempt] ?? [])
        let jobs = Set(received.identifiers[.job] ?? [])
        let contents = Set(received.datasets.map { ExportFiles.contentName($0.sha256) })
        for name in archive.files.keys where name.contains("/") {
            let parts = name.split(separator: "/", maxSplits: 2).map(String.init)
            let isKnown =
                switch parts[0] {
                case "attempts": attempts.contains(parts[1])
                case "jobs": jobs.contains(parts[1])
                default: contents.contains(name)
                }
            guard isKnown else { throw ServiceError(.badRequest, "the archive holds '\(name)', which its rows do not know") }
            if parts[0] == "datasets", let hash = archive.files[name]?.sha256, !name.hasSuffix("/\(hash).jsonl") {
                throw ServiceError(.badRequest, "the content of '\(name)' has the hash \(hash)")
            }
        }
        return Facts(
            id: received.id, name: received.name, project: received.project, identifiers: received.identifiers, datasets: received.datasets)
    }

    private func open() throws -> ReceivedExperiment {
        do {
            return try ReceivedExperiment(path: archive.path(of: ExportRecord.databaseName))
        } catch let error as StoreError where [.corrupt, .schema, .constraint, .database].contains(error.code) {
            throw ServiceError(.badRequest, "the archive's \(ExportRecord.databaseName) cannot be used: \(error.message)")
        }
    }

    /// Writes the rows under their new names. Returns what tells this state of the experiment from others.
    func rename(_ plan: ImportPlan) throws -> String {
        let received = try open()
        defer { received.close() }
        do {
            var content = SHA256()
            content.update(data: Array(try received.copy(to: rowsPath, renames: plan.renames).utf8))
            for name in archive.files.keys.sorted() where name.contains("/") {
                content.update(data: Array("\n\(archive.files[name]?.sha256 ?? "")  \(name)".utf8))
            }
            return content.finalize().hexadecimal
        } catch let error as StoreError where [.corrupt, .constraint, .conflict, .database].contains(error.code) {
            throw ServiceError(.badRequest, "the archive's \(ExportRecord.databaseName) cannot be used: \(error.message)")
        }
    }

    /// Moves the files to their places, and lets the rows name them. Returns what did not come, and the experiment's state.
    func settle(_ plan: ImportPlan, _ facts: Facts) throws -> (absent: [String], state: String) {
        let exportedAt = Timestamp(rfc3339: record.exportedAt) ?? Store.systemTime()
        let owners = try moveFolders(plan, facts)
        let contents = try moveContents(facts, known: plan.known)
        let database = try OfflineDatabase(path: rowsPath)
        defer { database.close() }
        let holds = { (path: String) in
            guard path.hasPrefix(data + "/") else { return false }
            let name = String(path.dropFirst(data.utf8.count + 1))
            guard RelativePath.isSafe(name) else { return false }
            let parts = name.split(separator: "/", maxSplits: 2)
            return parts.count > 2 && owners.contains("\(parts[0])/\(parts[1])") && access(path, F_OK) == 0
        }
        return try database.write { writer in
            try writer.relocateData(from: record.dataDirectory, to: data)
            try writer.settleImported(exportedAt: exportedAt, project: request.project)
            let absent = try writer.confineImported(data: data, plan: plan, at: exportedAt, holds: holds) { contents[$0] }
            let state = try writer.experiment(plan.renames[facts.id] ?? facts.id)?.state.rawValue
            return (absent, state ?? "unknown")
        }
    }

    /// Folders of attempts and jobs. Returns their names below the data folder.
    private func moveFolders(_ plan: ImportPlan, _ facts: Facts) throws -> Set<String> {
        let kinds = [("attempts", facts.identifiers[.attempt] ?? []), ("jobs", facts.identifiers[.job] ?? [])]
        let moves = kinds.flatMap { folder, ids in
            ids.map { (from: "\(archive.folder)/files/\(folder)/\($0)", to: "\(folder)/\(plan.renames[$0] ?? $0)") }
        }
        // Written down first: a daemon that dies in between takes them back when it starts.
        try ImportFolder.note(moves.map(\.to), in: archive.folder)
        for move in moves {
            let target = data + "/" + move.to
            guard access(target, F_OK) != 0 else { throw ServiceError(.conflict, "\(target) is there already; try again") }
            if access(move.from, F_OK) != 0 {
                try Folders.create(target)
            } else if Glibc.rename(move.from, target) != 0 {
                throw Folders.failure("move", move.from)
            }
        }
        for folder in ["attempts", "jobs"] { try FileTransfer.syncFolder(data + "/" + folder) }
        return Set(moves.map(\.to))
    }

    /// Contents of datasets, by their hashes: those that came and those that are here already.
    private func moveContents(_ facts: Facts, known: Set<String>) throws -> [String: String] {
        var places: [String: String] = [:]
        for dataset in facts.datasets where !known.contains(dataset.id) {
            let name = ExportFiles.contentName(dataset.sha256)
            let (from, to) = (archive.path(of: name), data + "/" + name)
            if archive.files[name] != nil, access(to, F_OK) != 0, access(from, F_OK) == 0 { try Folders.adopt(from, as: to) }
            if try Folders.renew(to) { places[dataset.sha256] = to }
        }
        return places
    }

    /// Takes the folders back that `settle` moved. Contents of datasets stay until they are collected as what nothing names.
    func undo() throws { try ImportFolder.undo(archive.folder, data: data) { _ in false } }
}

/// The folders of imports that are on their way.
enum ImportFolder {
    static let prefix = "import_"
    static let exportPrefix = "export_"
    private static let movesName = "moves.json"

    /// Writes down what will be made below the data folder.
    static func note(_ names: [String], in folder: String) throws {
        try Folders.write(JSONWriter().bytes(of: .array(names.map(JSONValue.string))), to: folder + "/" + movesName)
        try FileTransfer.syncFolder(folder)
    }

    /// Removes what was moved for an import; `isKnown` says of an identifier that the database has it.
    static func undo(_ folder: String, data: String, isKnown: (String) -> Bool) throws {
        guard let bytes = try Folders.tail(of: folder + "/" + movesName, limit: .max) else { return }
        let names = try JSONParser.parse(bytes).array?.compactMap(\.string) ?? []
        for name in names where RelativePath.isSafe(name) {
            guard let id = name.split(separator: "/").last, !isKnown(String(id)) else { continue }
            try Folders.remove(data + "/" + name)
        }
    }

    /// Whether an import or export was not cleaned up after.
    static func hasLeftovers(_ configuration: ServiceConfiguration) throws -> Bool {
        try Folders.names(in: configuration.uploadsDirectory).contains { $0.hasPrefix(prefix) || $0.hasPrefix(exportPrefix) }
    }

    /// Removes what imports and exports left that a daemon did not survive. Blocks.
    static func cleanUp(_ configuration: ServiceConfiguration, isKnown: (String) -> Bool) throws {
        let uploads = configuration.uploadsDirectory
        for name in try Folders.names(in: uploads) {
            if name.hasPrefix(prefix) { try undo(uploads + "/" + name, data: configuration.dataDirectory, isKnown: isKnown) }
            if name.hasPrefix(prefix) || name.hasPrefix(exportPrefix) { try Folders.remove(uploads + "/" + name) }
        }
    }
}
