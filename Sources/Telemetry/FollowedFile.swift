import Glibc

/// A file that a program appends to, opened to read what is new in it.
struct FollowedFile: ~Copyable {
    let path: String
    let size: Int64
    private let descriptor: Int32

    /// Opens the file at `path`; `nil` where there is none. Where it was replaced or cut short, the place begins anew.
    ///
    /// - Parameters:
    ///   - inode: of the file that `offset` counts in.
    ///   - offset: how far it has been read.
    static func open(_ path: String, inode: inout UInt64, offset: inout Int64) throws(TailError) -> FollowedFile? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw TailError(path: path, errorNumber: errno)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw TailError(path: path, errorNumber: code)
        }
        if UInt64(status.st_ino) != inode || Int64(status.st_size) < offset {
            inode = UInt64(status.st_ino)
            offset = 0
        }
        return FollowedFile(path: path, size: Int64(status.st_size), descriptor: descriptor)
    }

    private init(path: String, size: Int64, descriptor: Int32) {
        self.path = path
        self.size = size
        self.descriptor = descriptor
    }

    /// At most `limit` bytes from `offset` on; fewer where the file ends.
    func bytes(at offset: Int64, limit: Int) throws(TailError) -> [UInt8] {
        guard limit > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: limit)
        while true {
            let count = pread(descriptor, &bytes, limit, off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw TailError(path: path, errorNumber: errno) }
            bytes.removeLast(limit - count)
            return bytes
        }
    }

    deinit { close(descriptor) }
}
