import Glibc
import JSON
import Store

/// A file of an experiment, and its name in the archive.
struct ExportFile: Sendable, Hashable {
    var name: String
    var path: String
}

/// Files that go together.
struct ExportGroup: Sendable {
    /// What they are: the identifier of an attempt, a job, a checkpoint or a dataset.
    var id: String
    /// A file or a folder, and its name in the archive.
    var root: ExportFile
    /// Paths below the root that are left out.
    var skips: Set<String> = []
    /// Whether files of it may vanish without harm: those of an attempt that runs.
    var isLoose = false
    /// Whether workers wrote its files as text, in which secrets may stand.
    var hidesSecrets = false
    /// Of a checkpoint: what its files must come to, else it is being removed.
    var bytes: Int64?
    /// Of a dataset that stands for a user's file.
    var sha256: String?
}

/// Lists what of the disk belongs to an experiment. Blocks.
struct ExportFiles: Sendable {
    /// The data folder.
    let data: String

    /// Of an attempt's folder: what only its own machine has use for. The request to the supervisor holds the attempt's token.
    private static let own: Set<String> = ["ctl.sock", "lock", "spec.json", "shim.json"]

    /// The groups of the experiment whose rows are in `bundle`, and what lies outside of the data folder and stays behind.
    func groups(_ choice: ExportChoice, of bundle: OfflineDatabase) throws -> (groups: [ExportGroup], absent: [String]) {
        let rows = try bundle.read { reader in
            (
                attempts: try reader.attemptFolders(), jobs: try reader.jobLiveness(), checkpoints: try reader.checkpointFiles(),
                named: try reader.namedCheckpoints(), datasets: try reader.datasetFiles(), evaluations: try reader.evaluationFiles()
            )
        }
        var groups: [ExportGroup] = []
        var absent: [String] = []
        for row in rows.attempts {
            guard let name = inside(row.path) else {
                absent.append(row.id)
                continue
            }
            groups.append(
                ExportGroup(
                    id: row.id, root: .init(name: name, path: row.path), skips: Set(Self.own.map { row.path + "/" + $0 }),
                    isLoose: row.isLive, hidesSecrets: true))
        }
        let models = Set(rows.checkpoints.map(\.path))
        if choice.artifacts != .none {
            for job in rows.jobs {
                let folder = "\(data)/jobs/\(job.id)"
                groups.append(
                    ExportGroup(
                        id: job.id, root: .init(name: "jobs/\(job.id)", path: folder), skips: models.union([folder + "/checkpoints"]),
                        isLoose: job.isLive, hidesSecrets: true))
            }
        } else {
            for path in rows.evaluations {
                if let name = inside(path) { groups.append(ExportGroup(id: name, root: .init(name: name, path: path), hidesSecrets: true)) }
            }
        }
        for row in rows.checkpoints {
            let isWanted =
                choice.checkpoints && (choice.artifacts == .all || (choice.artifacts == .selected && rows.named.contains(row.id)))
            guard isWanted, let name = inside(row.path) else {
                if isWanted { absent.append(row.id) }
                continue
            }
            groups.append(ExportGroup(id: row.id, root: .init(name: name, path: row.path), bytes: row.bytes))
        }
        if choice.artifacts != .none { add(rows.datasets, to: &groups) }
        return (groups, absent)
    }

    private func add(_ datasets: [NamedFile], to groups: inout [ExportGroup]) {
        var taken: Set<String> = []
        for row in datasets {
            guard let sha256 = row.sha256, taken.insert(sha256).inserted else { continue }
            // The output of a job is among the job's files already.
            if let name = inside(row.path), !name.hasPrefix("datasets/") { continue }
            let root = ExportFile(name: Self.contentName(sha256), path: row.path)
            groups.append(ExportGroup(id: row.id, root: root, sha256: inside(row.path) == nil ? sha256 : nil))
        }
    }

    /// Where the content of a dataset lies below the data folder.
    static func contentName(_ sha256: String) -> String { "datasets/\(sha256.prefix(2))/\(sha256).jsonl" }

    /// The part of a path that is below the data folder.
    private func inside(_ path: String) -> String? {
        guard path.hasPrefix(data + "/") else { return nil }
        let name = String(path.dropFirst(data.utf8.count + 1))
        return RelativePath.isSafe(name) ? name : nil
    }

    /// The files of a group as they are now; `nil` where the root is gone. A link leads to a file in the data folder, or is left out.
    func files(of group: ExportGroup, leftOut: (String) -> Void) throws -> [ExportFile]? {
        var files: [ExportFile] = []
        guard try walk(group.root, group, &files, leftOut) else { return nil }
        return files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    private func walk(_ file: ExportFile, _ group: ExportGroup, _ files: inout [ExportFile], _ leftOut: (String) -> Void) throws -> Bool {
        var status = stat()
        guard lstat(file.path, &status) == 0 else {
            if errno == ENOENT { return false }
            throw Folders.failure("look at", file.path)
        }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            for name in try Folders.names(in: file.path) where !group.skips.contains(file.path + "/" + name) {
                // What has an unfinished name may vanish at any time.
                if name.hasSuffix(FileTransfer.partialSuffix) || name.hasSuffix(".tmp") { continue }
                _ = try walk(.init(name: file.name + "/" + name, path: file.path + "/" + name), group, &files, leftOut)
            }
        case S_IFREG: files.append(file)
        case S_IFLNK:
            if let target = try resolved(file.path) {
                files.append(.init(name: file.name, path: target))
            } else {
                leftOut(file.name)
            }
        default: leftOut(file.name)
        }
        return true
    }

    /// The regular file in the data folder that a link leads to.
    private func resolved(_ link: String) throws -> String? {
        guard let pointer = realpath(link, nil) else { return nil }
        defer { free(pointer) }
        let target = String(cString: pointer)
        var status = stat()
        guard target.hasPrefix(data + "/"), lstat(target, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return target
    }
}
