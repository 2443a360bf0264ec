import Archive
import Datasets

/// Writes a tar archive in the ustar format (POSIX.1-1988, `tar(5)`), whose bytes depend on its members and nothing else.
///
/// Every member is a regular file of mode 0444, owner and group 0 without names, and time 0 (1970). A name has at most 100 bytes: no
/// extensions of the format are used, so that any reader takes it.
struct TarWriter {
    static let blockBytes = TarHeader.blockBytes
    static let recordBytes = TarHeader.recordBytes
    static let nameBytesMax = TarHeader.nameBytesMax
    static let memberBytesMax = TarHeader.memberBytesMax

    /// Where the content of a member stands.
    struct Member {
        var headerOffset: Int
        var contentOffset: Int
        var size: Int
    }

    private let file: DatasetWriter
    /// Bytes written so far: where the next member starts.
    private(set) var offset = 0

    init(path: String) throws(FileError) { file = try DatasetWriter(path: path) }

    /// Bytes that a member of that size takes up, its header and its filling included.
    static func bytes(ofMember size: Int) -> Int { blockBytes + (size + blockBytes - 1) / blockBytes * blockBytes }

    /// Appends a file. Name and size must be within the limits.
    mutating func append(_ name: String, _ content: [UInt8]) throws(FileError) -> Member {
        precondition(
            name.utf8.count <= Self.nameBytesMax && Int64(content.count) <= Self.memberBytesMax, "a member beyond what ustar can tell")
        let member = Member(headerOffset: offset, contentOffset: offset + Self.blockBytes, size: content.count)
        try file.append(bytes: TarHeader(name: name, size: Int64(content.count)).blocks)
        try file.append(bytes: content)
        let total = Self.bytes(ofMember: content.count)
        try file.append(bytes: repeatElement(0, count: total - Self.blockBytes - content.count))
        offset += total
        return member
    }

    /// Writes the end and moves the archive to its name.
    mutating func finish() throws(FileError) -> WrittenFile {
        try file.append(bytes: TarHeader.ending(after: Int64(offset)))
        return try file.finish()
    }
}
