import Glibc
import Store

/// Brings the files of a data folder into a backup that is being made, and lists them. Blocks; used on one thread.
final class BackupFiles {
    /// Of an attempt's folder: what only its live supervisor is asked by.
    private static let left: Set<String> = ["ctl.sock", "lock"]

    private let data: String
    /// Where what is taken now lies.
    private var source: String
    private let target: String
    private let mode: BackupMode
    private let run: BackupRun
    private var transfer = FileTransfer()
    private let list: UnsafeMutablePointer<FILE>
    /// What the list names, so that what an earlier try left beside it can go.
    private var taken: Set<String> = []
    private var folders: Set<String> = []
    private(set) var files = 0
    private(set) var bytes: Int64 = 0

    init(from data: String, to target: String, mode: BackupMode, run: BackupRun) throws {
        (self.data, source, self.target, self.mode, self.run) = (data, data, target, mode, run)
        let path = target + "/" + BackupManifest.listName
        guard let file = fopen(path, "we") else { throw Folders.failure("create", path) }
        list = file
    }

    deinit { fclose(list) }

    /// Takes a file or a whole folder.
    ///
    /// - Parameters:
    ///   - path: below the data folder.
    ///   - isLive: whether it may still be written to, so that a link would change with it.
    ///   - sha256: of a file, where it is known.
    ///   - skips: names directly below it that are left out.
    ///   - root: a folder that has it in place of the data folder.
    /// - Returns: false where it is gone, or went while it was read; nothing of it is in the backup then.
    @discardableResult
    func take(_ path: String, isLive: Bool, sha256: String? = nil, skips: Set<String> = [], from root: String? = nil) throws -> Bool {
        guard !taken.contains(path) else { return true }
        source = root ?? data
        let found = try walk(path, isLive: isLive, sha256: sha256, skips: skips)
        for file in found ?? [] { try note(file) }
        if found == nil {
            try Folders.remove(target + "/" + path)
            folders = folders.filter { $0 != path && !$0.hasPrefix(path + "/") }
        }
        return found != nil
    }

    private func walk(_ path: String, isLive: Bool, sha256: String?, skips: Set<String>) throws -> [BackedUpFile]? {
        try run.checkWanted()
        var status = stat()
        guard lstat(source + "/" + path, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw Folders.failure("look at", source + "/" + path)
        }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            try makeFolder(path)
            var files: [BackedUpFile] = []
            for name in try Folders.names(in: source + "/" + path).sorted() where !skips.contains(name) && !Self.left.contains(name) {
                // What has an unfinished name may vanish at any time.
                let isPassing = name.hasSuffix(FileTransfer.partialSuffix) || name.hasSuffix(".tmp")
                guard let found = try walk(path + "/" + name, isLive: isLive, sha256: nil, skips: []) else {
                    if isPassing || isLive { continue }
                    return nil
                }
                files += found
            }
            return files
        case S_IFREG: return try takeFile(path, status, isLive: isLive, sha256: sha256).map { [$0] }
        case S_IFLNK:
            guard let pointed = try FileTransfer.linkTarget(source + "/" + path) else { return nil }
            try makeParent(of: path)
            let link = target + "/" + path
            if symlink(pointed, link) != 0, errno != EEXIST { throw Folders.failure("make the link", link) }
            return [BackedUpFile(path: path, bytes: 0, target: pointed)]
        default: return []
        }
    }

    private func takeFile(_ path: String, _ status: stat, isLive: Bool, sha256: String?) throws -> BackedUpFile? {
        let (from, to) = (source + "/" + path, target + "/" + path)
        try makeParent(of: path)
        run.add(bytes: Int64(status.st_size))
        if mode == .link, !isLive {
            var there = stat()
            if lstat(to, &there) == 0, there.st_ino == status.st_ino, there.st_dev == status.st_dev {
                return BackedUpFile(path: path, bytes: Int64(status.st_size), sha256: sha256)
            }
            unlink(to)
            if link(from, to) == 0 { return BackedUpFile(path: path, bytes: Int64(status.st_size), sha256: sha256) }
            if errno == ENOENT { return nil }
            guard errno == EXDEV || errno == EPERM || errno == EMLINK else { throw Folders.failure("link", from) }
        } else if !isLive, let kept = try earlierCopy(of: path, status) {
            return kept
        }
        guard let copied = try transfer.copy(from, to: to, while: { try self.run.checkWanted() }) else { return nil }
        if let sha256, sha256 != copied.sha256 {
            throw ServiceError(.conflict, "\(from) is damaged: its hash is \(copied.sha256) and not \(sha256)")
        }
        return BackedUpFile(path: path, bytes: copied.bytes, sha256: copied.sha256)
    }

    /// A file that an earlier, interrupted backup has copied: it has its name only when it was whole.
    private func earlierCopy(of path: String, _ status: stat) throws -> BackedUpFile? {
        var there = stat()
        guard lstat(target + "/" + path, &there) == 0, there.st_size == status.st_size, there.st_mtim.tv_sec == status.st_mtim.tv_sec,
            there.st_mtim.tv_nsec == status.st_mtim.tv_nsec
        else { return nil }
        return BackedUpFile(path: path, bytes: Int64(status.st_size), sha256: try ContentHasher.digest(target + "/" + path))
    }

    private func note(_ file: BackedUpFile) throws {
        taken.insert(file.path)
        files += 1
        bytes += file.bytes
        let line = file.line
        guard fwrite(line, 1, line.count, list) == line.count else { throw Folders.failure("write", BackupManifest.listName) }
        run.add(files: 1)
    }

    private func makeParent(of path: String) throws {
        if let slash = path.lastIndex(of: "/") { try makeFolder(String(path[..<slash])) }
    }

    private func makeFolder(_ path: String) throws {
        guard folders.insert(path).inserted else { return }
        try makeParent(of: path)
        try Folders.create(target + "/" + path)
    }

    /// Removes what an earlier try left and this one did not take, and puts the list on disk.
    func finish() throws {
        for name in ["attempts", "jobs", "datasets"] { try removeStrangers(name) }
        guard fflush(list) == 0, fsync(fileno(list)) == 0 else { throw Folders.failure("flush", BackupManifest.listName) }
        for folder in folders { try FileTransfer.syncFolder(target + "/" + folder) }
    }

    private func removeStrangers(_ path: String) throws {
        for name in try Folders.names(in: target + "/" + path) {
            let below = path + "/" + name
            if folders.contains(below) {
                try removeStrangers(below)
            } else if !taken.contains(below) {
                try Folders.remove(target + "/" + below)
            }
        }
    }
}
