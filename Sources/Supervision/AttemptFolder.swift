import CPosix
import Glibc
import JSON

/// The folder of an attempt on disk, which is the truth about it. Every call blocks: it belongs on the supervisor's file thread.
struct AttemptFolder: Sendable {
    private static let recordBytesMax = 16 << 20

    let path: String

    /// The last part of the path, which is the attempt's id.
    var name: Substring { path.split(separator: "/").last ?? "" }

    func path(of name: String) -> String { path + "/" + name }

    /// Makes the folder with spec.json and job.json in it.
    ///
    /// Nothing of it is forced to disk. A power failure ends the worker too, and what it can take from the disk here is told apart after it:
    /// the boot id in the database's next start is another one, and a folder without a whole spec.json is one whose worker never ran.
    func create(_ launch: AttemptLaunch, bootID: String) throws {
        guard launch.argv.first?.isEmpty == false else {
            throw SupervisionError(.refused, message: "an attempt needs a program to run")
        }
        guard path.hasPrefix("/") else {
            throw SupervisionError(.refused, message: "the attempt's folder '\(path)' is not an absolute path")
        }
        for directory in launch.directories { try Self.makeFolders(directory) }
        try makeFolder()
        guard access(path(of: "spec.json"), F_OK) != 0 else {
            throw SupervisionError(.alreadyUsed, message: "the folder '\(path)' belongs to an attempt that was started before")
        }
        try write(launch.jobDocument, to: "job.json")
        if launch.secretHandover == .file, !launch.secrets.isEmpty {
            try write(SecretHandover.document(of: launch), to: SecretHandover.fileName)
        }
        // Last, because its presence says that the folder is in use.
        try write(launch.specification(bootID: bootID), to: "spec.json")
    }

    /// Makes a folder and those above it.
    static func makeFolders(_ path: String) throws {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw SupervisionError.system(.folder, "make the folder '\(path)'")
        }
        try makeFolders(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw SupervisionError.system(.folder, "make the folder '\(path)'") }
    }

    private func makeFolder() throws {
        guard mkdir(path, 0o700) != 0 else { return }
        let errorNumber = errno
        guard errorNumber == EEXIST else { throw SupervisionError.system(.folder, "make the folder '\(path)'", errorNumber: errorNumber) }
        guard chmod(path, 0o700) == 0 else { throw SupervisionError.system(.folder, "protect the folder '\(path)'") }
    }

    private func write(_ document: JSONValue, to name: String) throws { try write(JSONWriter().bytes(of: document), to: name) }

    /// Replaces a file as a whole.
    func write(_ bytes: [UInt8], to name: String) throws {
        let file = cposix_open(AT_FDCWD, path(of: name + ".tmp"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SupervisionError.system(.folder, "create \(name) in '\(path)'") }
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress?.advanced(by: offset), $0.count - offset) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SupervisionError.system(.folder, "write \(name) in '\(path)'") }
            offset += count
        }
        guard rename(path(of: name + ".tmp"), path(of: name)) == 0 else {
            throw SupervisionError.system(.folder, "write \(name) in '\(path)'")
        }
    }

    /// Opens and takes the attempt's lock; the descriptor is the caller's. `nil` where another holds it.
    func takeLock() throws -> Int32? {
        let descriptor = cposix_open(AT_FDCWD, path(of: "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SupervisionError.system(.folder, "open the lock of '\(path)'") }
        let result = cposix_try_lock(descriptor)
        if result == 1 { return descriptor }
        let errorNumber = errno
        close(descriptor)
        guard result == 0 else { throw SupervisionError.system(.folder, "take the lock of '\(path)'", errorNumber: errorNumber) }
        return nil
    }

    /// Whether a shim holds the attempt's lock. It is only looked for: a lock that was taken to see would pass for a shim's elsewhere.
    ///
    /// Throws with ENOENT where the whole folder is gone.
    func isLocked() throws -> Bool {
        let descriptor = cposix_open(AT_FDCWD, path(of: "lock"), O_RDONLY | O_CLOEXEC, 0)
        if descriptor < 0, errno == ENOENT, access(path, F_OK) == 0 { return false }
        guard descriptor >= 0 else { throw SupervisionError.system(.folder, "open the lock of '\(path)'") }
        defer { close(descriptor) }
        let result = cposix_is_locked(descriptor)
        guard result >= 0 else { throw SupervisionError.system(.folder, "look for the lock of '\(path)'") }
        return result == 1
    }

    /// A record of the folder, or why there is none.
    func read(_ name: String) -> Result<JSONValue, RecordAbsence> {
        let file = cposix_open(AT_FDCWD, path(of: name), O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return .failure(errno == ENOENT ? .missing : .unreadable("\(name) cannot be opened: \(describe(errno))")) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return .failure(.unreadable("\(name) cannot be read: \(describe(errno))")) }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= Self.recordBytesMax else { return .failure(.unreadable("\(name) is longer than any such record")) }
        }
        do {
            return .success(try JSONParser.parse(bytes))
        } catch {
            return .failure(.unreadable("\(name) is not JSON: \(error)"))
        }
    }
}

/// Why a record cannot be had.
enum RecordAbsence: Error {
    case missing
    case unreadable(String)
}
