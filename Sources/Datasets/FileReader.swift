import Glibc

/// Reads a file from its start in large pieces.
public final class FileReader {
    public let path: String
    /// The size when the file was opened, in bytes; 0 for what has none, such as a pipe.
    public let size: Int
    private let descriptor: Int32

    public init(path: String) throws(FileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw FileError(call: "fstat", path: path, code: code)
        }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw FileError(call: "open", path: path, code: EISDIR)
        }
        size = status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : 0
    }

    deinit { close(descriptor) }

    /// Fills `buffer` as far as the file reaches; fewer bytes than asked for mean the end of the file.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        var count = 0
        while count < buffer.count {
            let result = Glibc.read(descriptor, base + count, buffer.count - count)
            if result == 0 { break }
            if result < 0 {
                if errno == EINTR { continue }
                throw FileError(call: "read", path: path, code: errno)
            }
            count += result
        }
        return count
    }
}
