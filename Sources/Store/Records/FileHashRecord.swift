/// The hash of a file that has not changed while these facts of it have not.
public struct FileHashRecord: Sendable, Hashable {
    public var path: String
    public var device: UInt64
    public var inode: UInt64
    public var bytes: Int64
    public var modifiedNanoseconds: Int64
    public var sha256: String

    /// A hash with the facts it holds for.
    public init(path: String, device: UInt64, inode: UInt64, bytes: Int64, modifiedNanoseconds: Int64, sha256: String) {
        self.path = path
        self.device = device
        self.inode = inode
        self.bytes = bytes
        self.modifiedNanoseconds = modifiedNanoseconds
        self.sha256 = sha256
    }
}
