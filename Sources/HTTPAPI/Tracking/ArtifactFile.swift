import EventLoop
import Glibc
import HTTPServer
import JSON
import Service

/// Files below the artifact folder of a run. No link is followed on the way down: the program of a job may have put one there that leads
/// out of the folder, and between a look at it and its use it may be another.
struct ArtifactFile {
    /// The data folder, which is the daemon's own.
    let root: String
    /// Names below it; none of them is `..`.
    let names: [Substring]
    /// The path as the client names it.
    private let shown: String

    /// A path below a folder; one that leads out of it is refused.
    ///
    /// - Parameters:
    ///   - folder: a run's, below `root`.
    ///   - root: from where on links are not followed.
    init(_ path: String, below folder: String, of root: String) throws {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true).filter { $0 != "." }
        guard !parts.contains(".."), !path.utf8.contains(0), path.utf8.count <= 4096 else {
            throw ServiceError(.badRequest, "Invalid path: '\(path)'")
        }
        self.root = root
        names = folder.dropFirst(root.count).split(separator: "/") + parts
        shown = parts.joined(separator: "/")
    }

    var path: String { ([root] + names.map(String.init)).joined(separator: "/") }

    /// Opens the folder that the names but the last lead to; the caller closes it. Negative where it cannot be, with `errno` set.
    private func openFolder(_ names: some Sequence<Substring>, creating: Bool) -> Int32 {
        var folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        for name in names {
            guard folder >= 0 else { return folder }
            if creating { _ = mkdirat(folder, String(name), 0o755) }
            let next = openat(folder, String(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
            let reason = errno
            close(folder)
            errno = reason
            folder = next
        }
        return folder
    }

    /// What the folder of this path holds: names, whether each is a folder, and sizes. Nothing where there is no such folder.
    func entries() -> [(name: String, isFolder: Bool, bytes: Int64)] {
        let folder = openFolder(names, creating: false)
        guard folder >= 0, let handle = fdopendir(folder) else { return [] }
        defer { closedir(handle) }
        var found: [(name: String, isFolder: Bool, bytes: Int64)] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var status = stat()
            guard name != ".", name != "..", fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
            found.append((name, status.st_mode & S_IFMT == S_IFDIR, Int64(status.st_size)))
        }
        return found.sorted { $0.name < $1.name }
    }

    func read() throws -> [UInt8] {
        let missing = ServiceError(.notFound, "there is no such artifact")
        guard let last = names.last else { throw missing }
        let folder = openFolder(names.dropLast(), creating: false)
        guard folder >= 0 else { throw missing }
        defer { close(folder) }
        // A pipe that somebody has put there must not hold the reader up.
        let file = openat(folder, String(last), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { throw missing }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { throw missing }
        guard status.st_size <= ServiceLimits.artifactBytesMax else {
            throw ServiceError(.tooLarge, "the artifact has \(status.st_size) bytes; read it from the disk: \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let got = bytes[count...].withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw ServiceError(.internal, "cannot read \(path): \(String(cString: strerror(errno)))") }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }

    /// Writes a file under its name only when it is whole.
    func write(_ bytes: [UInt8]) throws {
        func failure(_ what: String) -> ServiceError {
            switch errno {
            case ENOSPC: ServiceError(.diskFull, "the disk is full")
            case ELOOP, ENOTDIR: ServiceError(.badRequest, "Invalid path: '\(shown)' leads over what is no folder")
            default: ServiceError(.internal, "\(what) \(path): \(String(cString: strerror(errno)))")
            }
        }
        guard !shown.isEmpty, let last = names.last else { throw ServiceError(.badRequest, "Invalid path: ''") }
        let folder = openFolder(names.dropLast(), creating: true)
        guard folder >= 0 else { throw failure("make the folder of") }
        defer { close(folder) }
        let partial = String(last) + ".partial"
        let file = openat(folder, partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o644)
        guard file >= 0 else { throw failure("open") }
        defer { close(file) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("write") }
            offset += count
        }
        guard renameat(folder, partial, folder, String(last)) == 0 else { throw failure("rename") }
    }
}
