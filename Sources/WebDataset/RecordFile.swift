import Datasets
import Glibc

/// A file of which any piece can be read, for records in an order that is not the file's.
final class RecordFile {
    private let path: String
    private let descriptor: Int32

    init(path: String) throws(FileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
    }

    deinit { close(descriptor) }

    /// The bytes in `range`; fewer where the file ends in it.
    func bytes(in range: Range<Int>) throws(FileError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            while count < range.count, let base = buffer.baseAddress {
                let result = pread(descriptor, base + count, range.count - count, off_t(range.lowerBound + count))
                if result == 0 { break }
                if result > 0 {
                    count += result
                } else if errno != EINTR {
                    failure = errno
                    break
                }
            }
        }
        guard failure == 0 else { throw FileError(call: "pread", path: path, code: failure) }
        return bytes
    }

    /// The whole content of a file that has at most `bytesMax` bytes; `nil` for a larger one.
    static func content(of path: String, bytesMax: Int) throws(FileError) -> [UInt8]? {
        let bytes = try RecordFile(path: path).bytes(in: 0..<bytesMax + 1)
        return bytes.count > bytesMax ? nil : bytes
    }
}
