import Datasets

/// Writes a tar archive in the ustar format (POSIX.1-1988, `tar(5)`), whose bytes depend on its members and nothing else.
///
/// Every member is a regular file of mode 0444, owner and group 0 without names, and time 0 (1970). A name has at most 100 bytes: no
/// extensions of the format are used, so that any reader takes it.
struct TarWriter {
    static let blockBytes = 512
    /// Archives are filled up to a multiple of 20 blocks, as tar(1) and Python's tarfile do.
    static let recordBytes = 20 * blockBytes
    static let nameBytesMax = 100
    /// Eleven octal digits.
    static let memberBytesMax = 1 << 33 - 1

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
        precondition(name.utf8.count <= Self.nameBytesMax && content.count <= Self.memberBytesMax, "a member beyond what ustar can tell")
        let member = Member(headerOffset: offset, contentOffset: offset + Self.blockBytes, size: content.count)
        try file.append(bytes: Self.header(name: name, size: content.count))
        try file.append(bytes: content)
        let total = Self.bytes(ofMember: content.count)
        try file.append(bytes: repeatElement(0, count: total - Self.blockBytes - content.count))
        offset += total
        return member
    }

    /// Writes the end and moves the archive to its name.
    mutating func finish() throws(FileError) -> WrittenFile {
        let end = (offset + 2 * Self.blockBytes + Self.recordBytes - 1) / Self.recordBytes * Self.recordBytes
        try file.append(bytes: repeatElement(0, count: end - offset))
        return try file.finish()
    }

    private static func header(name: String, size: Int) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: blockBytes)
        func put(_ text: String, at place: Int) { block.replaceSubrange(place..<place + text.utf8.count, with: text.utf8) }
        func putOctal(_ number: Int, digits: Int, at place: Int) {
            let octal = String(number, radix: 8)
            put(String(repeating: "0", count: digits - octal.utf8.count) + octal, at: place)
        }
        put(name, at: 0)
        putOctal(0o444, digits: 7, at: 100)
        putOctal(0, digits: 7, at: 108)
        putOctal(0, digits: 7, at: 116)
        putOctal(size, digits: 11, at: 124)
        putOctal(0, digits: 11, at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        // The sum of all bytes, with the field of the sum itself as blanks.
        putOctal(block.reduce(0) { $0 + Int($1) }, digits: 6, at: 148)
        block[154] = 0
        return block
    }
}
