import Glibc

/// A file that was written and is now under its final name.
public struct WrittenFile: Sendable, Equatable {
    public var path: String
    public var rows: Int
    public var bytes: Int64
    /// In lower-case hexadecimal.
    public var sha256: String

    public init(path: String, rows: Int, bytes: Int64, sha256: String) {
        self.path = path
        self.rows = rows
        self.bytes = bytes
        self.sha256 = sha256
    }
}

/// Writes lines to a temporary file beside `path` and gives it its name when it is complete and on disk.
///
/// A reader of `path` thus sees either nothing, or an earlier file, or the whole new one.
public final class DatasetWriter {
    private static let bufferBytesMax = 1 << 20

    private let path: String
    private let temporaryPath: String
    private var descriptor: Int32
    private var buffer: [UInt8] = []
    /// Begun with the first full buffer, so that small files need no thread.
    private var background: BackgroundFile?
    private var rows = 0

    public init(path: String) throws(FileError) {
        self.path = path
        temporaryPath = "\(path).\(getpid()).tmp"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: temporaryPath, code: errno) }
    }

    deinit {
        // Reached with an open descriptor only when the writing was given up.
        guard descriptor >= 0 else { return }
        background?.stop()
        close(descriptor)
        unlink(temporaryPath)
    }

    /// Appends `line` and a line feed.
    public func append(line: some Collection<UInt8>) throws(FileError) {
        rows += 1
        buffer.append(contentsOf: line)
        buffer.append(0x0A)
        if buffer.count >= Self.bufferBytesMax { try flush() }
    }

    /// Lines appended so far.
    var rowCount: Int { rows }

    /// Appends a line feed after what `write` appends.
    func append(line write: (inout [UInt8]) throws -> Void) throws {
        try write(&buffer)
        rows += 1
        buffer.append(0x0A)
        if buffer.count >= Self.bufferBytesMax { try flush() }
    }

    /// Appends bytes that are no lines, as of a download.
    public func append(bytes piece: some Collection<UInt8>) throws(FileError) {
        buffer.append(contentsOf: piece)
        if buffer.count >= Self.bufferBytesMax { try flush() }
    }

    /// Brings everything to disk and moves the file to its name.
    public func finish() throws(FileError) -> WrittenFile {
        let (bytes, sha256) = try flushAll()
        guard fsync(descriptor) == 0 else { throw FileError(call: "fsync", path: temporaryPath, code: errno) }
        let result = close(descriptor)
        descriptor = -1
        guard result == 0 else { throw abandoned("close") }
        guard rename(temporaryPath, path) == 0 else { throw abandoned("rename") }
        try Self.syncFolder(of: path)
        return WrittenFile(path: path, rows: rows, bytes: bytes, sha256: sha256)
    }

    private func abandoned(_ call: String) -> FileError {
        let error = FileError(call: call, path: path, code: errno)
        unlink(temporaryPath)
        return error
    }

    private func flush() throws(FileError) {
        let file = background ?? BackgroundFile(path: temporaryPath, descriptor: descriptor)
        background = file
        try file.append(&buffer)
        buffer.reserveCapacity(Self.bufferBytesMax + Self.bufferBytesMax / 8)
    }

    /// Writes what is left; the size and the hash of the whole.
    private func flushAll() throws(FileError) -> (bytes: Int64, sha256: String) {
        guard let background else {
            try buffer.writeAll(to: descriptor, path: temporaryPath)
            return (Int64(buffer.count), ContentHash.sha256(of: buffer))
        }
        try background.append(&buffer)
        background.stop()
        return try background.result()
    }

    /// Makes a rename in the folder of `path` last (fsync(2): the folder needs a sync of its own).
    private static func syncFolder(of path: String) throws(FileError) {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(call: "open", path: folder, code: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(call: "fsync", path: folder, code: errno) }
    }
}
