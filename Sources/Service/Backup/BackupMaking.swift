import Domain
import Glibc
import JSON
import Store
import Supervision

/// Makes a backup of a data folder while its daemon runs.
///
/// First the database, as it is at one moment; then the files that its rows name. Trainers that run remove old checkpoints, so these are
/// held by links from before that moment. Nobody else removes any meanwhile. All is made in `TARGET.partial`, which gets its name when it is whole; a try
/// that was interrupted is gone on with.
struct BackupMaking: Sendable {
    let configuration: ServiceConfiguration
    let target: String
    let mode: BackupMode
    let run: BackupRun
    /// Checkpoints in the data folder of jobs that have not ended.
    let running: [NamedFile]

    private var folder: String { target + FileTransfer.partialSuffix }
    private var data: String { configuration.dataDirectory }

    /// Refuses a target that cannot be one. Blocks.
    func check() throws {
        guard target.hasPrefix("/"), !target.hasSuffix("/"), RelativePath.isSafe(String(target.dropFirst())) else {
            throw ServiceError(.badRequest, "the target '\(target)' must be an absolute path without '.' and '..'")
        }
        if access(target, F_OK) == 0 { throw ServiceError(.conflict, "'\(target)' is there already; a backup makes a new folder") }
        let backups = data + "/backups/"
        if (target + "/").hasPrefix(data + "/"), !target.hasPrefix(backups) {
            throw ServiceError(.badRequest, "'\(target)' lies in the data folder; only \(backups) may hold backups there")
        }
        var status = stat()
        guard lstat(folder, &status) == 0 else { return }
        let isOurs = status.st_mode & S_IFMT == S_IFDIR && access(folder + "/" + BackupManifest.listName, F_OK) == 0
        if !isOurs { throw ServiceError(.conflict, "'\(folder)' is there already, and is no backup that was interrupted") }
    }

    /// Makes it. Blocks; `now` tells the time.
    func make(now: @Sendable () -> Timestamp) throws -> BackupManifest {
        try Folders.create(folder)
        let database = folder + "/" + BackupManifest.databaseName
        for suffix in ["", "-wal", "-shm", "-journal"] { try Folders.remove(database + suffix) }
        let files = try BackupFiles(from: data, to: folder, mode: mode, run: run)
        let hold = try CheckpointHold(data: data)
        if mode != .database { for row in running { try hold.hold(relative(row.path)) } }
        let moment = now()
        try DatabaseCopy.make(of: configuration.databasePath, to: database) { done, total in
            run.set(pages: done, of: total)
            try run.checkWanted()
        }
        let copy = try OfflineDatabase(path: database)
        defer { copy.close() }
        var manifest = BackupManifest(
            version: configuration.version, schemaVersion: try copy.read { try $0.statistics().schemaVersion },
            createdAt: moment.description, dataDirectory: data, mode: mode)
        if mode != .database { try takeFiles(of: copy, into: files, &manifest, hold, now: now) }
        try hold.release()
        run.enter(phase: "finishing")
        try files.finish()
        (manifest.files, manifest.bytes) = (files.files, files.bytes)
        let record = folder + "/" + BackupManifest.name
        try Folders.write(JSONWriter(layout: .pretty).bytes(of: manifest.document), to: record)
        try FileTransfer.syncFolder(folder)
        guard rename(folder, target) == 0 else { throw Folders.failure("finish", folder) }
        try FileTransfer.syncFolder(target.lastIndex(of: "/").map { String(target[..<$0]) }.flatMap { $0.isEmpty ? nil : $0 } ?? "/")
        return manifest
    }

    private func takeFiles(
        of copy: OfflineDatabase, into files: BackupFiles, _ manifest: inout BackupManifest, _ hold: CheckpointHold,
        now: @Sendable () -> Timestamp
    ) throws {
        run.enter(phase: "files")
        let rows = try copy.read { reader in
            (
                checkpoints: try reader.checkpointFiles(), attempts: try reader.attemptFolders(), datasets: try reader.datasetFiles(),
                jobs: try reader.jobLiveness()
            )
        }
        for row in rows.checkpoints where row.isLive && row.path.hasPrefix(data + "/") { try hold.hold(relative(row.path)) }
        var gone: [NamedFile] = []
        for row in rows.checkpoints {
            guard let path = inside(row.path, &manifest, row.id) else { continue }
            // A checkpoint got its name when it was whole, so a link to its files holds even while its job runs.
            if try !files.take(path, isLive: false, from: hold.holds(path) ? hold.folder : nil) { gone.append(row) }
        }
        let moment = now()
        for row in gone {
            manifest.missing.append(row.id)
            if !row.isPinned { try copy.write { try $0.markRemoved(checkpoint: row.id, at: moment) } }
        }
        for row in rows.attempts {
            guard let path = inside(row.path, &manifest, row.id) else { continue }
            // The secrets of one that waits for a cluster are given anew by whoever brings the backup back.
            if try !files.take(path, isLive: row.isLive, skips: SecretHandover.fileNames) { manifest.missing.append(row.id) }
        }
        for job in rows.jobs { try files.take("jobs/" + job.id, isLive: job.isLive, skips: ["checkpoints"]) }
        for row in rows.datasets {
            guard let path = inside(row.path, &manifest, row.id) else { continue }
            let isFile = path.hasSuffix(".jsonl")
            if try !files.take(path, isLive: false, sha256: isFile ? row.sha256 : nil) { manifest.missing.append(row.id) }
        }
    }

    /// A path below the data folder; notes one that lies elsewhere.
    private func inside(_ path: String, _ manifest: inout BackupManifest, _ id: String) -> String? {
        guard path.hasPrefix(data + "/") else {
            manifest.external.append("\(id) \(path)")
            return nil
        }
        return relative(path)
    }

    /// The part of a path that is below the data folder.
    private func relative(_ path: String) -> String { String(path.dropFirst(data.count + 1)) }
}
