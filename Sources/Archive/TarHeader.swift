/// The head of a member of a tar archive in the ustar format (POSIX.1-1988, `tar(5)`): one block, or three and more where its name or
/// size need an extended header of POSIX.1-2001 (`pax(1)`).
public struct TarHeader: Sendable, Hashable {
    public static let blockBytes = 512
    /// Archives are filled up to a multiple of 20 blocks, as tar(1) and Python's tarfile do.
    public static let recordBytes = 20 * blockBytes
    /// What a block has room for; longer names need an extended header.
    public static let nameBytesMax = 100
    /// Eleven octal digits; larger members need an extended header.
    public static let memberBytesMax: Int64 = 1 << 33 - 1

    public var name: String
    public var size: Int64
    public var mode: Int
    /// Seconds since 1970.
    public var modified: Int64

    public init(name: String, size: Int64, mode: Int = 0o444, modified: Int64 = 0) {
        (self.name, self.size, self.mode, self.modified) = (name, size, mode, modified)
    }

    /// The blocks before the member's content.
    public var blocks: [UInt8] {
        var records: [UInt8] = []
        if name.utf8.count > Self.nameBytesMax { records += Self.record("path", name) }
        if size > Self.memberBytesMax { records += Self.record("size", String(size)) }
        var blocks: [UInt8] = []
        if !records.isEmpty {
            let extended = TarHeader(name: "pax_headers/\(name.utf8.count)", size: Int64(records.count), mode: mode, modified: modified)
            blocks = extended.block(type: "x") + records + Self.filling(after: Int64(records.count))
        }
        return blocks + block(type: "0")
    }

    /// The zeros after a content of `size` bytes, up to the next block.
    public static func filling(after size: Int64) -> [UInt8] {
        [UInt8](repeating: 0, count: Int((Int64(blockBytes) - size % Int64(blockBytes)) % Int64(blockBytes)))
    }

    /// The end of an archive of `size` bytes: two blocks of zeros at least, up to a whole record.
    public static func ending(after size: Int64) -> [UInt8] {
        let record = Int64(recordBytes)
        let end = (size + Int64(2 * blockBytes) + record - 1) / record * record
        return [UInt8](repeating: 0, count: Int(end - size))
    }

    /// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n"
        var length = rest.utf8.count + 1
        while String(length).utf8.count + rest.utf8.count != length { length = String(length).utf8.count + rest.utf8.count }
        return Array("\(length)\(rest)".utf8)
    }

    private func block(type: String) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: Self.blockBytes)
        func put(_ bytes: some Collection<UInt8>, at place: Int) { block.replaceSubrange(place..<place + bytes.count, with: bytes) }
        func putOctal(_ number: Int64, digits: Int, at place: Int) {
            let octal = String(number, radix: 8)
            put((String(repeating: "0", count: digits - octal.utf8.count) + octal).utf8, at: place)
        }
        put(name.utf8.prefix(Self.nameBytesMax), at: 0)
        putOctal(Int64(mode), digits: 7, at: 100)
        putOctal(0, digits: 7, at: 108)
        putOctal(0, digits: 7, at: 116)
        putOctal(size > Self.memberBytesMax ? 0 : size, digits: 11, at: 124)
        putOctal(modified, digits: 11, at: 136)
        put("        ".utf8, at: 148)
        put(type.utf8, at: 156)
        put("ustar".utf8, at: 257)
        put("00".utf8, at: 263)
        // The sum of all bytes, with the field of the sum itself as blanks.
        putOctal(block.reduce(0) { $0 + Int64($1) }, digits: 6, at: 148)
        block[154] = 0
        return block
    }
}
