import Glibc

/// A file system in memory of a set size, to run out of room on.
enum TemporaryFileSystem {
    struct Failure: Error { let call: String, code: Int32 }

    /// Whether this process may mount; found out by doing it.
    static let isAvailable: Bool = {
        guard geteuid() == 0 else { return false }
        let path = "/tmp/anneal-mount-probe-\(getpid())"
        guard mkdir(path, 0o700) == 0 else { return false }
        defer { rmdir(path) }
        guard mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0 else { return false }
        return umount(path) == 0
    }()

    static func with(bytes: Int, at path: String, _ body: (String) async throws -> Void) async throws {
        guard mkdir(path, 0o700) == 0 else { throw Failure(call: "mkdir", code: errno) }
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)") == 0 else { throw Failure(call: "mount", code: errno) }
        // A lazy unmount: it cannot fail on a file that is still open.
        defer { umount2(path, Int32(MNT_DETACH)) }
        try await body(path)
    }

    static func resize(_ path: String, bytes: Int) throws {
        guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(bytes)") == 0 else { throw Failure(call: "mount", code: errno) }
    }
}
