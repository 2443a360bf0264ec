import Glibc
import Telemetry

/// Folders and small files of the data folder. Blocks: call it off the loop.
enum Folders {
    /// Creates a folder and its parents, readable by the service's user alone.
    static func create(_ path: String) throws {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw failure("create the folder", path)
        }
        try create(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("create the folder", path) }
    }

    /// The bytes of a file, at most `limit` of them from its end; `nil` where there is no such file.
    static func tail(of path: String, limit: Int) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("open", path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("look at", path) }
        let start = max(0, Int(status.st_size) - limit)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size) - start)
        var filled = 0
        while filled < bytes.count {
            let count = bytes[filled...].withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(start + filled)) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { break }
            filled += count
        }
        return Array(bytes[..<filled])
    }

    /// Names in a folder; empty where there is none.
    static func names(in path: String) throws -> [String] {
        guard let folder = opendir(path) else {
            if errno == ENOENT { return [] }
            throw failure("list", path)
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Puts a worker's file into a content store under its hash: by a hard link where both are on one file system, else by a
    /// copy that is renamed when it is complete.
    static func adopt(_ source: String, as target: String) throws {
        guard let slash = target.lastIndex(of: "/") else { throw ServiceError(.internal, "not an absolute path: \(target)") }
        try create(String(target[..<slash]))
        while link(source, target) != 0 {
            guard errno == EEXIST else { return try copyInstead(of: source, to: target) }
            // One that is there may go before it is renewed.
            if try renew(target) { return }
        }
    }

    /// Copies what could not be linked for a reason that a copy does not share.
    private static func copyInstead(of source: String, to target: String) throws {
        guard errno == EXDEV || errno == EPERM || errno == EMLINK else { throw failure("link", source) }
        try copy(source, to: target)
    }

    /// Sets the time of a content's node to now, as a link does, without a change of the content: it is taken into use again, and
    /// retention must not take it for old. Returns false where there is none.
    static func renew(_ path: String) throws -> Bool {
        var status = stat()
        if stat(path, &status) == 0, chmod(path, status.st_mode & 0o7777) == 0 { return true }
        guard errno == ENOENT else { throw failure("take", path) }
        return false
    }

    /// Copies a file's content; the target has its name when it is complete and on disk.
    static func copy(_ source: String, to target: String) throws {
        let temporary = target + ".partial"
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw failure("open", source) }
        defer { close(input) }
        let output = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw failure("create", temporary) }
        defer { close(output) }
        while true {
            let count = sendfile(output, input, nil, 1 << 24)
            if count == 0 { break }
            guard count > 0 || errno == EINTR else { throw failure("copy", source) }
        }
        guard fsync(output) == 0, rename(temporary, target) == 0 else { throw failure("finish", temporary) }
    }

    /// Writes a small file, which has its name when it is complete.
    static func write(_ bytes: [UInt8], to target: String) throws {
        let temporary = target + ".partial"
        guard let file = fopen(temporary, "we") else { throw failure("create", temporary) }
        let isWritten = fwrite(bytes, 1, bytes.count, file) == bytes.count
        guard fclose(file) == 0, isWritten, rename(temporary, target) == 0 else { throw failure("finish", temporary) }
    }

    /// Bytes that may still be written below a folder.
    static func freeBytes(_ path: String) throws -> Int64 {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { throw failure("look at the disk of", path) }
        return Int64(information.f_bavail) * Int64(information.f_frsize)
    }

    static func failure(_ verb: String, _ path: String) -> ServiceError {
        let code = errno
        let text = "cannot \(verb) \(path): \(String(cString: strerror(code)))"
        return ServiceError(code == ENOSPC || code == EDQUOT ? .diskFull : .internal, text)
    }
}

/// The folders `step_<N>` that a trainer renames into place when a checkpoint is complete.
enum CheckpointFolders {
    /// Steps of the complete checkpoints in a folder.
    static func steps(in folder: String) throws -> [Int] {
        try Folders.names(in: folder).compactMap { name in
            guard name.hasPrefix("step_"), let step = Int(name.dropFirst(5)), step >= 0 else { return nil }
            let isOurs = CheckpointWatcher.documents.contains { access("\(folder)/\(name)/\($0)", F_OK) == 0 }
            return isOurs ? step : nil
        }
    }
}

extension Folders {
    /// Removes a folder with all it holds, or a file; no error where there is none.
    static func remove(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw failure("look at", path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard unlink(path) == 0 else { throw failure("remove", path) }
            return
        }
        for name in try names(in: path) { try remove(path + "/" + name) }
        guard rmdir(path) == 0 else { throw failure("remove", path) }
    }
}
