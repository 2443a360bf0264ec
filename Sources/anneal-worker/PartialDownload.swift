import Datasets
import Glibc
import HTTPClient
import JSON

/// A file on its way, with what is needed to go on with it in another connection or another attempt.
///
/// Beside the file stands a small document that tells which URL it is from, which version of it the server named, and since when the
/// machine runs: after a crash of the machine the end of a file may be there in length only.
final class PartialDownload {
    /// What tells one version of a file from another.
    struct Version: Equatable {
        /// A strong entity tag, else the date of the last change, as the server wrote it.
        var validator: String?
        /// Bytes of the whole file.
        var total: Int64?

        init(validator: String? = nil, total: Int64? = nil) { (self.validator, self.total) = (validator, total) }

        /// What the head of a whole answer tells.
        init(_ head: HTTPClientResponse) {
            let tag = head.header("ETag").flatMap { $0.hasPrefix("W/") ? nil : $0 }
            validator = tag ?? head.header("Last-Modified")
            total = head.header("Content-Length").flatMap { Int64($0) }
        }
    }

    let path: String
    private let url: String
    private let statePath: String
    private let descriptor: Int32
    private(set) var bytes: Int64 = 0
    private(set) var version = Version()
    /// Whether what is there comes from several connections.
    private(set) var isPieced = false

    /// Opens what an earlier attempt has left of `url` at `path`, or begins.
    init(path: String, url: String) throws {
        (self.path, self.url, statePath) = (path, url, path + ".json")
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(call: "fstat", path: path, code: errno) }
        if status.st_size > 0, let known = knownVersion() {
            version = known
            bytes = Int64(status.st_size)
            isPieced = true
        } else if status.st_size > 0 {
            try truncate()
        }
    }

    deinit { close(descriptor) }

    /// What the document says, where it is about this URL and this run of the machine.
    private func knownVersion() -> Version? {
        // No document, or one that cannot be read, means to begin anew.
        guard access(statePath, R_OK) == 0, let state = try? WorkerContext.readDocument(statePath), state["url"]?.string == url,
            let boot = Self.boot, state["boot"]?.string == boot
        else { return nil }
        return Version(validator: state["validator"]?.string, total: state["total"]?.int.map(Int64.init))
    }

    private static let boot: String? = {
        // Without it nothing is resumed across attempts.
        guard let file = try? FileReader(path: "/proc/sys/kernel/random/boot_id") else { return nil }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
        defer { buffer.deallocate() }
        guard let count = try? file.read(into: buffer), count > 0 else { return nil }  // As above.
        return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").first.map(String.init)
    }()

    /// Throws away what is there; what comes now is of this version.
    func begin(_ version: Version) throws {
        try truncate()
        self.version = version
        isPieced = false
        var state: JSONObject = ["url": .string(url)]
        if let validator = version.validator { state["validator"] = .string(validator) }
        if let total = version.total { state["total"] = .int(total) }
        if let boot = Self.boot { state["boot"] = .string(boot) }
        let writer = try DatasetWriter(path: statePath)
        try writer.append(line: JSONWriter().bytes(of: .object(state)))
        _ = try writer.finish()
    }

    /// Notes that further bytes come from another connection.
    func goOn(total: Int64?) {
        isPieced = true
        version.total = total ?? version.total
    }

    private func truncate() throws {
        guard ftruncate(descriptor, 0) == 0 else { throw FileError(call: "ftruncate", path: path, code: errno) }
        bytes = 0
    }

    func append(_ piece: [UInt8]) throws {
        var offset = 0
        while offset < piece.count {
            let count = piece.withUnsafeBytes { buffer in
                pwrite(descriptor, buffer.baseAddress.map { $0 + offset }, piece.count - offset, off_t(bytes))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileError(call: "write", path: path, code: count < 0 ? errno : ENOSPC) }
            offset += count
            bytes += Int64(count)
        }
    }

    /// Brings everything to disk and hashes it.
    func finish() throws -> WrittenFile {
        guard fsync(descriptor) == 0 else { throw FileError(call: "fsync", path: path, code: errno) }
        return WrittenFile(path: path, rows: 0, bytes: bytes, sha256: try ContentHash.sha256(ofFile: path))
    }

    /// Bytes that may still be written to the file's disk.
    func freeBytes() throws -> Int64 {
        var information = statvfs()
        guard fstatvfs(descriptor, &information) == 0 else { throw FileError(call: "fstatvfs", path: path, code: errno) }
        return Int64(information.f_bavail) * Int64(information.f_frsize)
    }

    /// Takes file and document away.
    static func remove(_ path: String) {
        unlink(path)
        unlink(path + ".json")
    }
}
