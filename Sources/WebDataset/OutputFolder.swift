import Datasets
import Glibc

/// A folder that is either whole under its name or not there at all.
///
/// It is filled under a temporary name beside it and renamed at the end.
final class OutputFolder {
    /// Where to write.
    let temporaryPath: String
    private let path: String
    /// A file that every folder of this kind has, and no other.
    private let mark: String
    private var isFinished = false

    /// Makes the temporary folder; what an attempt before left under its name is removed.
    ///
    /// A folder that has `path` already must have the file `mark`: it comes from an earlier attempt and is replaced.
    init(path: String, mark: String) throws {
        self.path = path
        self.mark = mark
        temporaryPath = path + ".partial"
        var status = stat()
        if lstat(path, &status) == 0, lstat("\(path)/\(mark)", &status) != 0 { throw FileError(call: "mkdir", path: path, code: EEXIST) }
        try Self.remove(temporaryPath)
        try Self.make(temporaryPath)
    }

    deinit {
        // Given up: what cannot be removed now is removed by the next attempt.
        if !isFinished { try? Self.remove(temporaryPath) }
    }

    /// Makes a folder in it.
    func makeFolder(_ name: String) throws(FileError) { try Self.make("\(temporaryPath)/\(name)") }

    /// Moves the folder to its name. Each file in it must be on disk by itself.
    func finish() throws(FileError) {
        try Self.sync(temporaryPath)
        try Self.remove(path)
        guard rename(temporaryPath, path) == 0 else { throw FileError(call: "rename", path: path, code: errno) }
        isFinished = true
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        try Self.sync(parent.isEmpty ? "/" : parent)
    }

    private static func make(_ path: String) throws(FileError) {
        guard mkdir(path, 0o755) == 0 else { throw FileError(call: "mkdir", path: path, code: errno) }
    }

    private static func sync(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(call: "fsync", path: path, code: errno) }
    }

    /// Removes a folder and what is in it; links are removed, never followed.
    private static func remove(_ path: String) throws(FileError) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard let folder = opendir(path) else { throw FileError(call: "opendir", path: path, code: errno) }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { try remove("\(path)/\(name)") }
        }
        guard rmdir(path) == 0 else { throw FileError(call: "rmdir", path: path, code: errno) }
    }
}
