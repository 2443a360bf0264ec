import Glibc

/// A system call on a file that failed.
public struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
    public var call: String
    public var path: String
    /// The `errno` of the call.
    public var code: Int32

    public init(call: String, path: String, code: Int32) {
        self.call = call
        self.path = path
        self.code = code
    }

    /// True where the disk or the user's quota on it is full.
    public var isDiskFull: Bool { code == ENOSPC || code == EDQUOT }

    /// True where the path leads to nothing.
    public var isMissing: Bool { code == ENOENT || code == ENOTDIR }

    public var description: String { "\(path): \(String(cString: strerror(code))) (\(call))" }
}
