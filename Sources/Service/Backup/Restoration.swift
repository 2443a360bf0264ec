import Domain
import Glibc
import JSON
import Store

/// Brings a backup back into a new data folder, while no daemon works on that. Blocks.
///
/// The folder holds `restoring.json` until all is there: a daemon refuses it so long, and another try goes on with it.
public struct Restoration {
    /// What the folder holds while it is not whole.
    public static let marker = "restoring.json"

    /// The backup's folder.
    public let source: String
    /// The data folder; absolute.
    public let data: String
    /// Whether jobs that have not ended are held until somebody releases them.
    public let holdsJobs: Bool

    /// A backup and where it goes.
    public init(source: String, data: String, holdsJobs: Bool) {
        (self.source, self.data, self.holdsJobs) = (source, data, holdsJobs)
    }

    /// Names that a data folder without anything of use may have.
    private static let harmless: Set<String> = ["anneald.lock", marker, "lost+found"]

    /// Refuses a source that is no backup of this program's, and a folder that is in use. Call it before anything is made there.
    public func check() throws {
        _ = try manifest()
        let names = try Folders.names(in: data)
        if names.contains(Self.marker) {
            let path = data + "/" + Self.marker
            let begun = try Self.document(path)
            guard begun["source"]?.string == source else {
                throw ServiceError(
                    .conflict, "\(data) holds part of another backup (\(begun["source"]?.string ?? "unknown")); take another folder")
            }
        } else if let used = names.first(where: { !Self.harmless.contains($0) }) {
            throw ServiceError(.conflict, "\(data) is in use (it holds '\(used)'); restore into a new folder, and start the daemon on that")
        }
    }

    /// Copies all files, checking sizes and hashes, and settles the database. Returns lines that say what became of it.
    public func run() throws -> [String] {
        let manifest = try manifest()
        try Folders.create(data)
        let marker = data + "/" + Self.marker
        try Folders.write(JSONWriter().bytes(of: ["source": .string(source)]), to: marker)
        for folder in ["attempts", "jobs", "datasets", "uploads", "backups"] { try Folders.create(data + "/" + folder) }
        let files = try copyFiles()
        guard files == manifest.files else {
            throw ServiceError(.conflict, "the backup lists \(files) files and should have \(manifest.files); it is damaged")
        }
        let jobs = try settleDatabase(manifest)
        guard unlink(marker) == 0 else { throw Folders.failure("remove", marker) }
        try FileTransfer.syncFolder(data)
        return Self.summary(manifest, jobs, data: data, holdsJobs: holdsJobs)
    }

    private func manifest() throws -> BackupManifest {
        let path = source + "/" + BackupManifest.name
        guard access(path, R_OK) == 0 else {
            throw ServiceError(.notFound, "\(source) is no whole backup: it has no \(BackupManifest.name)")
        }
        return try BackupManifest(try Self.document(path), path: path)
    }

    private static func document(_ path: String) throws -> JSONValue {
        let limit = ServiceLimits.backupRecordBytesMax
        guard let bytes = try Folders.tail(of: path, limit: limit + 1) else { throw ServiceError(.notFound, "there is no \(path)") }
        guard bytes.count <= limit else { throw ServiceError(.badRequest, "\(path) is larger than \(limit) bytes") }
        do {
            return try JSONParser.parse(bytes)
        } catch {
            throw ServiceError(.badRequest, "\(path) cannot be read: \(error)")
        }
    }

    private func copyFiles() throws -> Int {
        let path = source + "/" + BackupManifest.listName
        guard let list = fopen(path, "re") else { throw Folders.failure("open", path) }
        defer { fclose(list) }
        var transfer = FileTransfer()
        var count = 0
        var made: Set<String> = []
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while case let length = getline(&line, &room, list), length > 0, let line {
            let bytes = UnsafeRawBufferPointer(start: line, count: length)
            let document: JSONValue
            do {
                document = try JSONParser.parse(Array(bytes))
            } catch {
                throw ServiceError(.badRequest, "\(path), line \(count + 1): \(error)")
            }
            let file = try BackedUpFile(document)
            if let slash = file.path.lastIndex(of: "/"), made.insert(String(file.path[..<slash])).inserted {
                try Folders.create(data + "/" + file.path[..<slash])
            }
            try restore(file, by: &transfer)
            count += 1
        }
        return count
    }

    private func restore(_ file: BackedUpFile, by transfer: inout FileTransfer) throws {
        let (from, to) = (source + "/" + file.path, data + "/" + file.path)
        if let target = file.target {
            if symlink(target, to) != 0, errno != EEXIST { throw Folders.failure("make the link", to) }
            return
        }
        // A try before this one has checked what has its name.
        var status = stat()
        if lstat(to, &status) == 0, Int64(status.st_size) == file.bytes { return }
        guard let copied = try transfer.copy(from, to: to) else { throw ServiceError(.conflict, "the backup lacks \(file.path)") }
        guard copied.bytes == file.bytes, file.sha256 == nil || file.sha256 == copied.sha256 else {
            try Folders.remove(to)
            throw ServiceError(.conflict, "\(from) is not what was backed up: its size or hash is another")
        }
    }

    private func settleDatabase(_ manifest: BackupManifest) throws -> RestoredJobs {
        let (target, partial) = (data + "/anneal.db", data + "/anneal.db" + FileTransfer.partialSuffix)
        for suffix in ["", "-journal", "-wal", "-shm"] { try Folders.remove(partial + suffix) }
        var transfer = FileTransfer()
        guard try transfer.copy(source + "/" + BackupManifest.databaseName, to: partial) != nil else {
            throw ServiceError(.notFound, "\(source) has no \(BackupManifest.databaseName)")
        }
        let database = try OfflineDatabase(path: partial, migrates: true)
        defer { database.close() }
        let moment = Store.systemTime()
        let jobs = try database.write { writer in
            try writer.relocateData(from: manifest.dataDirectory, to: data)
            return try writer.settleRestored(holds: holdsJobs, at: moment)
        }
        let verdict = try database.read { try $0.quickCheck() }
        guard verdict == "ok" else { throw ServiceError(.conflict, "the backup's database is damaged: \(verdict)") }
        guard rename(partial, target) == 0 else { throw Folders.failure("finish", partial) }
        return jobs
    }

    private static func summary(_ manifest: BackupManifest, _ jobs: RestoredJobs, data: String, holdsJobs: Bool) -> [String] {
        var lines = [
            "restored \(manifest.files) files and the database of \(manifest.createdAt) into \(data)",
            "jobs that ran then: \(jobs.queued.count) wait to run again, \(jobs.held.count) are held, \(jobs.lost.count) are lost, "
                + "\(jobs.cancelled.count) are cancelled",
        ]
        lines += jobs.held.map {
            "  held: \($0.job), which may still be in \($0.words); once it is not, 'anneal release \($0.job)' lets it run here"
        }
        lines += jobs.lost.map { "  lost: \($0); 'anneal retry \($0)' runs it again" }
        if jobs.waiting > 0 {
            lines.append(
                "\(jobs.waiting) jobs wait, and \(holdsJobs ? "are held until 'anneal release'" : "start with the daemon")")
        }
        if manifest.mode == .database { lines.append("the backup has no files: datasets, checkpoints and logs must be put back by hand") }
        lines += manifest.missing.map { "  its files were gone when the backup was made: \($0)" }
        lines += manifest.external.map { "  outside of the data folder, so not in the backup: \($0)" }
        return lines
    }
}
