import Crypto
import Glibc

/// Takes files over from one folder to another, each under its name only when it is whole. Blocks.
struct FileTransfer {
    private static let pieceBytes = 1 << 20
    /// Of a file on its way.
    static let partialSuffix = ".partial"

    private var buffer = [UInt8](repeating: 0, count: pieceBytes)

    /// Copies the bytes that a file has now, with mode and time, and returns how many there are and their hash.
    ///
    /// A file that grows meanwhile is copied up to the length that it had; `nil` where it is gone.
    mutating func copy(
        _ source: String, to target: String, while isWanted: () throws -> Void = {}
    ) throws -> (bytes: Int64, sha256: String)? {
        let input = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard input >= 0 else {
            if errno == ENOENT { return nil }
            throw Folders.failure("open", source)
        }
        defer { close(input) }
        var status = stat()
        guard fstat(input, &status) == 0 else { throw Folders.failure("look at", source) }
        let partial = target + Self.partialSuffix
        let output = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw Folders.failure("create", partial) }
        defer { close(output) }
        var hash = SHA256()
        var left = Int64(status.st_size)
        var copied: Int64 = 0
        while left > 0 {
            try isWanted()
            let count = buffer.withUnsafeMutableBytes { read(input, $0.baseAddress, min($0.count, Int(left))) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Folders.failure("read", source) }
            if count == 0 { break }
            buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            try write(count, to: output, partial)
            left -= Int64(count)
            copied += Int64(count)
        }
        var times = [status.st_atim, status.st_mtim]
        guard fchmod(output, status.st_mode & 0o7777) == 0, futimens(output, &times) == 0, fsync(output) == 0,
            rename(partial, target) == 0
        else { throw Folders.failure("finish", partial) }
        return (copied, hash.finalize().hexadecimal)
    }

    private func write(_ count: Int, to output: Int32, _ path: String) throws {
        var done = 0
        while done < count {
            let written = buffer.withUnsafeBytes { Glibc.write(output, $0.baseAddress.map { $0 + done }, count - done) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw Folders.failure("write to", path) }
            done += written
        }
    }

    /// Makes what a folder lists last.
    static func syncFolder(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Folders.failure("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Folders.failure("flush", path) }
    }

    /// What a symbolic link points at; `nil` where it is gone.
    static func linkTarget(_ path: String) throws -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &bytes, bytes.count - 1)
        guard count >= 0 else {
            if errno == ENOENT { return nil }
            throw Folders.failure("read the link", path)
        }
        return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
