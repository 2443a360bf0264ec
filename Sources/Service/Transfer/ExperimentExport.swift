import Archive
import Crypto
import Glibc
import JSON
import Store
import Synchronization

/// An experiment on its way out: a tar archive that is made while it is read.
///
/// First what it is (`export.json`) and its rows (`anneal.db`), then its files, and last `manifest.json` with the size and hash of each.
public final class ExperimentExport: Sendable {
    private static let pieceBytes = 256 * 1024
    /// Files of a checkpoint that are opened together, so that its trainer may remove it meanwhile.
    private static let heldFilesMax = 512

    private let folder: String
    private let state: Mutex<State>

    /// The record that the archive begins with.
    let record: ExportRecord

    /// Writes the rows to `folder`, which is made for it. Blocks.
    ///
    /// - Parameter mask: hides secrets in what workers have written; an archive leaves the machine.
    init(_ record: ExportRecord, configuration: ServiceConfiguration, folder: String, mask: SecretMask) throws {
        (self.record, self.folder) = (record, folder)
        do {
            try Folders.create(folder)
            let database = folder + "/" + ExportRecord.databaseName
            try ExperimentBundle.write(record.experimentID, of: configuration.databasePath, to: database, at: Store.systemTime())
            let head = folder + "/" + ExportRecord.name
            try Folders.write(JSONWriter(layout: .pretty).bytes(of: record.document), to: head)
            let bundle = try OfflineDatabase(path: database)
            defer { bundle.close() }
            let files = ExportFiles(data: configuration.dataDirectory)
            let (groups, absent) = try files.groups(record.choice, of: bundle)
            let own = [ExportRecord.name, ExportRecord.databaseName].map { name in
                ExportGroup(id: name, root: ExportFile(name: name, path: folder + "/" + name))
            }
            state = Mutex(State(groups: (own + groups).reversed(), absent: absent, listing: files, mask: mask))
        } catch {
            // What is left of it goes when the daemon starts, too.
            try? Folders.remove(folder)
            throw error
        }
    }

    /// The next bytes; none at the end. Blocks. What it throws leaves the archive without its end.
    public func next() throws -> [UInt8] { try state.withLock { try $0.next() } }

    /// Removes what was made for it.
    func close() throws {
        state.withLock { $0.closeAll() }
        try Folders.remove(folder)
    }

    /// How far it is.
    private struct State {
        /// Those that are to come, the next one last.
        var groups: [ExportGroup]
        var absent: [String]
        let listing: ExportFiles
        let mask: SecretMask
        var leftOut: [String] = []
        /// Of the group at hand, the next one last; with the descriptors of those that are open.
        var files: [(file: ExportFile, descriptor: Int32?)] = []
        var isLoose = false
        var hidesSecrets = false
        var current: (name: String, descriptor: Int32, size: Int64, left: Int64, hash: SHA256)?
        var taken: [BackedUpFile] = []
        var names: Set<String> = []
        var offset: Int64 = 0
        var isEnded = false

        mutating func next() throws -> [UInt8] {
            var piece: [UInt8] = []
            // Many small files make one piece.
            while piece.count < ExperimentExport.pieceBytes / 2, !isEnded {
                let bytes = try step()
                offset += Int64(bytes.count)
                piece += bytes
            }
            return piece
        }

        private mutating func step() throws -> [UInt8] {
            if current != nil { return try content() }
            if let (file, descriptor) = files.popLast() { return try begin(file, descriptor) }
            if let group = groups.popLast() {
                try enter(group)
                return []
            }
            return end()
        }

        /// Lists the files of a group, and opens those of a checkpoint.
        private mutating func enter(_ group: ExportGroup) throws {
            (isLoose, hidesSecrets) = (group.isLoose, group.hidesSecrets && !mask.isEmpty)
            if let sha256 = group.sha256, try ContentHasher.digest(group.root.path) != sha256 { return absent.append(group.id) }
            var strange: [String] = []
            guard let found = try listing.files(of: group, leftOut: { strange.append($0) }) else {
                // A job that never ran has no folder.
                if group.bytes != nil || group.root.name.hasPrefix("datasets/") { absent.append(group.id) }
                return
            }
            leftOut += strange
            var opened = found.filter { names.insert($0.name).inserted }.map { (file: $0, descriptor: Int32?.none) }
            if let bytes = group.bytes, opened.count <= ExperimentExport.heldFilesMax {
                var sum: Int64 = 0
                for index in opened.indices {
                    guard let (descriptor, size) = try Self.open(opened[index].file.path) else { break }
                    opened[index].descriptor = descriptor
                    sum += size
                }
                guard sum == bytes, opened.allSatisfy({ $0.descriptor != nil }) else {
                    for case let descriptor? in opened.map(\.descriptor) { Glibc.close(descriptor) }
                    return absent.append(group.id)
                }
            }
            files = opened.reversed()
        }

        private mutating func begin(_ file: ExportFile, _ held: Int32?) throws -> [UInt8] {
            let opened: (descriptor: Int32, size: Int64)
            if let held {
                var status = stat()
                guard fstat(held, &status) == 0 else { throw Folders.failure("look at", file.path) }
                opened = (held, Int64(status.st_size))
            } else {
                guard let found = try Self.open(file.path) else {
                    guard isLoose else { throw ServiceError(.conflict, "\(file.path) went away while it was exported") }
                    return []
                }
                opened = found
            }
            current = (file.name, opened.descriptor, opened.size, opened.size, SHA256())
            return TarHeader(name: file.name, size: opened.size, mode: 0o644).blocks + (opened.size == 0 ? try content() : [])
        }

        private mutating func content() throws -> [UInt8] {
            guard var file = current else { return [] }
            let start = file.size - file.left
            let bytes = try piece(
                of: file.descriptor, from: start, to: start + min(Int64(ExperimentExport.pieceBytes), file.left), file.size)
            guard Int64(bytes.count) == min(Int64(ExperimentExport.pieceBytes), file.left) else {
                throw ServiceError(.internal, "\(file.name) became shorter while it was exported")
            }
            file.hash.update(data: bytes)
            file.left -= Int64(bytes.count)
            current = file
            guard file.left == 0 else { return bytes }
            Glibc.close(file.descriptor)
            current = nil
            taken.append(BackedUpFile(path: file.name, bytes: file.size, sha256: file.hash.finalize().hexadecimal))
            return bytes + TarHeader.filling(after: file.size)
        }

        /// Part of a file, less where it became shorter. Secrets are hidden in it, also those that begin before it or end behind it.
        private func piece(of descriptor: Int32, from start: Int64, to end: Int64, _ size: Int64) throws -> [UInt8] {
            let context = hidesSecrets ? Int64(mask.contextBytes) : 0
            let first = max(0, start - context)
            var bytes = [UInt8](repeating: 0, count: Int(min(size, end + context) - first))
            var filled = 0
            while filled < bytes.count {
                let offset = off_t(first) + filled
                let count = bytes[filled...].withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, offset) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                filled += count
            }
            bytes.removeLast(bytes.count - filled)
            if hidesSecrets { mask.hide(in: &bytes) }
            return Array(bytes.dropFirst(Int(start - first)).prefix(Int(end - start)))
        }

        private mutating func end() -> [UInt8] {
            isEnded = true
            let manifest = ExportManifest(files: taken, absent: absent, leftOut: leftOut)
            let bytes = JSONWriter().bytes(of: manifest.document)
            let size = Int64(bytes.count)
            let member = TarHeader(name: ExportRecord.manifestName, size: size, mode: 0o644).blocks + bytes + TarHeader.filling(after: size)
            return member + TarHeader.ending(after: offset + Int64(member.count))
        }

        mutating func closeAll() {
            if let current { Glibc.close(current.descriptor) }
            for case let descriptor? in files.map(\.descriptor) { Glibc.close(descriptor) }
            (current, files, isEnded) = (nil, [], true)
        }

        /// A regular file, and how long it is now; `nil` where it is gone.
        private static func open(_ path: String) throws -> (descriptor: Int32, size: Int64)? {
            let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            guard descriptor >= 0 else {
                if errno == ENOENT { return nil }
                throw Folders.failure("open", path)
            }
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw Folders.failure("look at", path) }
            return (descriptor, Int64(status.st_size))
        }
    }
}

/// What the last member of an archive says.
struct ExportManifest: Sendable {
    var files: [BackedUpFile]
    /// Attempts, checkpoints and datasets whose files are not in the archive though they were asked for.
    var absent: [String]
    /// Files that are neither regular nor a link to one in the data folder.
    var leftOut: [String]

    var document: JSONValue {
        [
            "format": .int(Int64(ExportRecord.format)), "files": .array(files.map(\.document)),
            "bytes": .int(files.reduce(0) { $0 + $1.bytes }), "absent": .array(absent.map(JSONValue.string)),
            "left_out": .array(leftOut.map(JSONValue.string)),
        ]
    }

    init(files: [BackedUpFile], absent: [String], leftOut: [String]) {
        (self.files, self.absent, self.leftOut) = (files, absent, leftOut)
    }

    /// Reads one.
    init(_ document: JSONValue) throws {
        guard let entries = document["files"]?.array else {
            throw ServiceError(.badRequest, "\(ExportRecord.manifestName) has no list of files")
        }
        files = try entries.map(BackedUpFile.init)
        absent = (document["absent"]?.array ?? []).compactMap(\.string)
        leftOut = (document["left_out"]?.array ?? []).compactMap(\.string)
    }
}
