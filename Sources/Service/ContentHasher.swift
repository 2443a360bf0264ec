import Crypto
import Domain
import EventLoop
import Glibc
import Store

/// Hashes files and folders on its own thread and remembers the hash of a file that has not changed.
final class ContentHasher: Sendable {
    private let store: Store
    private let thread = BlockingThread(name: "hasher")

    init(store: Store) { self.store = store }

    /// SHA-256 of a file, or of a folder: of the lines `<sha256>  <relative path>` of its files in the order of their paths.
    func hash(path: String) async throws -> String {
        let files = try await thread.run { try FileTree.files(below: path) }
        if let files {
            var listing = SHA256()
            for file in files {
                let digest = try await hashFile(path + "/" + file)
                listing.update(data: Array("\(digest)  \(file)\n".utf8))
            }
            return listing.finalize().hexadecimal
        }
        return try await hashFile(path)
    }

    private func hashFile(_ path: String) async throws -> String {
        let identity = try await thread.run { try FileIdentity(path: path) }
        if let known = try await store.read({ try $0.fileHash(path: path) }), identity.matches(known) { return known.sha256 }
        let digest = try await thread.run { try Self.digest(path) }
        let record = identity.record(path: path, sha256: digest)
        try await store.write { try $0.put(fileHash: record) }
        return digest
    }

    static func digest(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ServiceError(.invalidSpec, "\(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var hash = SHA256()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw ServiceError(.internal, "\(path): \(String(cString: strerror(errno)))")
            }
            if count == 0 { return hash.finalize().hexadecimal }
            buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}

/// What tells that a file is the one that was hashed before.
struct FileIdentity: Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let bytes: Int64
    private let modifiedNanoseconds: Int64

    init(path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ServiceError(.invalidSpec, "\(path): \(String(cString: strerror(errno)))") }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        bytes = Int64(status.st_size)
        modifiedNanoseconds = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
    }

    func matches(_ record: FileHashRecord) -> Bool {
        record.device == device && record.inode == inode && record.bytes == bytes && record.modifiedNanoseconds == modifiedNanoseconds
    }

    func record(path: String, sha256: String) -> FileHashRecord {
        FileHashRecord(path: path, device: device, inode: inode, bytes: bytes, modifiedNanoseconds: modifiedNanoseconds, sha256: sha256)
    }
}

/// The files of a folder.
enum FileTree {
    /// Paths below `path`, sorted by their bytes; `nil` where `path` is a file.
    static func files(below path: String) throws -> [String]? {
        var status = stat()
        guard stat(path, &status) == 0 else { throw ServiceError(.invalidSpec, "\(path): \(String(cString: strerror(errno)))") }
        guard status.st_mode & S_IFMT == S_IFDIR else { return nil }
        var files: [String] = []
        try collect(path, prefix: "", into: &files)
        return files.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func collect(_ root: String, prefix: String, into files: inout [String]) throws {
        guard let folder = opendir(root + "/" + prefix) else {
            throw ServiceError(.invalidSpec, "\(root)/\(prefix): \(String(cString: strerror(errno)))")
        }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            let relative = prefix.isEmpty ? name : prefix + "/" + name
            var status = stat()
            guard stat(root + "/" + relative, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { try collect(root, prefix: relative, into: &files) } else { files.append(relative) }
        }
    }

    /// Bytes of all files of a folder, or of one file.
    static func bytes(of path: String) throws -> Int64 {
        let paths = try files(below: path)?.map { path + "/" + $0 } ?? [path]
        return paths.reduce(0) { total, path in
            var status = stat()
            return stat(path, &status) == 0 ? total + Int64(status.st_size) : total
        }
    }
}
