import Archive
import Crypto
import Glibc
import JSON
import Store

/// Puts the members of an experiment's archive into a folder as they come in, checked. Blocks; used on one thread at a time.
struct ArchiveIntake: TarSink {
    let folder: String
    let limits: ImportLimits

    private var reader = TarReader()
    private var current: (file: BackedUpFile, descriptor: Int32, hash: SHA256)?
    private var folders: Set<String> = []
    private var bytes: Int64 = 0
    /// What came, by its name in the archive; the list of all is not among them.
    private(set) var files: [String: BackedUpFile] = [:]
    private(set) var record: ExportRecord?
    private var hasManifest = false

    /// - Parameter folder: one that is not there yet.
    init(folder: String, limits: ImportLimits) throws {
        (self.folder, self.limits) = (folder, limits)
        try Folders.create(folder + "/files")
    }

    /// Takes the next bytes of the archive.
    mutating func take(_ bytes: [UInt8]) throws {
        // The reader cannot hand out bytes to what it is a part of.
        var reader = reader
        defer { self.reader = reader }
        try reader.take(bytes, into: &self)
    }

    // MARK: Members

    mutating func begin(_ name: String, size: Int64) throws {
        guard !hasManifest else {
            throw TarError("'\(name)' stands after \(ExportRecord.manifestName), which ends an experiment's archive")
        }
        guard files.isEmpty == (name == ExportRecord.name) else {
            throw TarError(
                files.isEmpty
                    ? "this is no experiment's archive: it begins with '\(name.prefix(100))' and not with \(ExportRecord.name)"
                    : "the archive holds \(name) more than once")
        }
        try check(name, size)
        let path = path(of: name)
        if let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), folders.insert(String(path[..<slash])).inserted {
            try createFolder(String(path[..<slash]), of: name)
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            if errno == EEXIST || errno == ENOTDIR || errno == EISDIR { throw TarError("the archive holds '\(name)' more than once") }
            throw Folders.failure("create", path)
        }
        current = (BackedUpFile(path: name, bytes: size), descriptor, SHA256())
    }

    private func createFolder(_ path: String, of name: String) throws {
        let parts = name.split(separator: "/")
        // A file may not be a folder, too.
        for count in 1..<parts.count where files[parts.prefix(count).joined(separator: "/")] != nil {
            throw TarError("'\(name)' lies below a file of the archive")
        }
        try Folders.create(path)
    }

    private mutating func check(_ name: String, _ size: Int64) throws {
        guard name.utf8.count <= limits.pathBytesMax else {
            throw TarError("a path in the archive has more than \(limits.pathBytesMax) bytes: \(name.prefix(100))…", isTooLarge: true)
        }
        guard RelativePath.isSafe(name) else { throw TarError("'\(name)' leads out of the archive") }
        let most =
            switch name {
            case ExportRecord.name: limits.recordBytesMax
            case ExportRecord.databaseName: limits.rowsBytesMax
            case ExportRecord.manifestName: limits.manifestBytesMax
            default: limits.bytesMax
            }
        guard size <= most else { throw TarError("'\(name)' has \(size) bytes; at most \(most) are taken", isTooLarge: true) }
        let (sum, isOver) = bytes.addingReportingOverflow(size)
        guard !isOver, sum <= limits.bytesMax else {
            throw TarError("the archive holds more than \(limits.bytesMax) bytes", isTooLarge: true)
        }
        bytes = sum
        guard files.count < limits.filesMax else {
            throw TarError("the archive holds more than \(limits.filesMax) files", isTooLarge: true)
        }
        if [ExportRecord.name, ExportRecord.databaseName, ExportRecord.manifestName].contains(name) { return }
        let parts = name.split(separator: "/", maxSplits: 2)
        guard parts.count == 3, ["attempts", "jobs", "datasets"].contains(parts[0]) else {
            throw TarError("'\(name)' is no part of an experiment's archive")
        }
    }

    mutating func content(_ bytes: UnsafeRawBufferPointer) throws {
        guard let descriptor = current?.descriptor else { return }
        current?.hash.update(bufferPointer: bytes)
        var done = 0
        while done < bytes.count {
            let count = write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Folders.failure("write to", current?.file.path ?? folder) }
            done += count
        }
    }

    mutating func end() throws {
        guard let (received, descriptor, hash) = current else { return }
        current = nil
        var file = received
        let isKept = fsync(descriptor) == 0
        guard close(descriptor) == 0, isKept else { throw Folders.failure("write to", file.path) }
        if file.path == ExportRecord.manifestName {
            hasManifest = true
            return
        }
        file.sha256 = hash.finalize().hexadecimal
        files[file.path] = file
        if file.path == ExportRecord.name { record = try ExportRecord(try Self.document(path(of: file.path))) }
    }

    // MARK: The end

    /// Where a member lies.
    func path(of name: String) -> String {
        name.contains("/") ? folder + "/files/" + name : folder + "/" + name
    }

    /// Holds what came against the list at the archive's end. Returns what the archive says and the list.
    func finish() throws -> (record: ExportRecord, manifest: ExportManifest) {
        try reader.finish()
        guard let record, hasManifest else {
            throw TarError("the archive is cut off: \(ExportRecord.manifestName), its last part, is missing")
        }
        let manifest = try ExportManifest(try Self.document(path(of: ExportRecord.manifestName)))
        for file in manifest.files {
            guard let found = files[file.path] else { throw TarError("the archive lacks '\(file.path)'") }
            guard found.bytes == file.bytes, found.sha256 == file.sha256 else {
                throw TarError("'\(file.path)' is damaged: its size or hash is not what \(ExportRecord.manifestName) says")
            }
        }
        guard manifest.files.count == files.count, Set(manifest.files.map(\.path)).count == files.count else {
            let listed = Set(manifest.files.map(\.path))
            throw TarError("'\(files.keys.sorted().first { !listed.contains($0) } ?? "?")' is not in \(ExportRecord.manifestName)")
        }
        guard files[ExportRecord.databaseName] != nil else { throw TarError("the archive has no \(ExportRecord.databaseName)") }
        return (record, manifest)
    }

    /// Closes what is open.
    mutating func abandon() {
        if let current { close(current.descriptor) }
        current = nil
    }

    private static func document(_ path: String) throws -> JSONValue {
        guard let bytes = try Folders.tail(of: path, limit: .max) else { throw ServiceError(.internal, "there is no \(path)") }
        do {
            return try JSONParser.parse(bytes)
        } catch {
            throw TarError("\(path.split(separator: "/").last ?? "") is not JSON: \(error)")
        }
    }
}
