/// Files that are often mistaken for JSON Lines, told by their first bytes.
enum ForeignFile {
    /// Bytes that are looked at.
    static let lookedAtBytes = 512

    private static let signatures: [(bytes: [UInt8], name: String, advice: String)] = [
        ([0xFF, 0xFE], "is text in UTF-16", "convert it to UTF-8"), ([0xFE, 0xFF], "is text in UTF-16", "convert it to UTF-8"),
        ([0x1F, 0x8B], "is compressed by gzip", "decompress it first"),
        ([0x28, 0xB5, 0x2F, 0xFD], "is compressed by zstd", "decompress it first"),
        (Array("BZh".utf8), "is compressed by bzip2", "decompress it first"),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "is compressed by xz", "decompress it first"),
        (Array("PAR1".utf8), "is a Parquet file", "write its rows as JSON Lines"),
        (Array("ARROW1".utf8), "is an Arrow file", "write its rows as JSON Lines"),
        (Array("PK".utf8) + [3, 4], "is a ZIP archive", "unpack it first"),
    ]

    /// Why a file that starts with `bytes` is no JSON text, as the rest of a sentence about it; `nil` where it may be.
    static func complaint(about bytes: some Collection<UInt8>) -> String? {
        let start = Array(bytes.prefix(lookedAtBytes))
        if let found = signatures.first(where: { start.starts(with: $0.bytes) }) {
            return "\(found.name), not JSON text in UTF-8; \(found.advice)"
        }
        if start.count > 1, start[1] == 0, start[0] != 0 {
            return "is text in UTF-16 without a byte order mark, not JSON text in UTF-8; convert it to UTF-8"
        }
        if start.first(where: { !whiteSpace.contains($0) }) == UInt8(ascii: "<") {
            return "is an HTML or XML page, not JSON; a server or a proxy may have answered with a page of its own"
        }
        return nil
    }

    /// True where the text is one array: its first character is a bracket, a byte order mark aside.
    static func isArray(_ bytes: some Collection<UInt8>) -> Bool {
        let start = Array(bytes.prefix(lookedAtBytes))
        let text = start.starts(with: [0xEF, 0xBB, 0xBF]) ? start[3...] : start[...]
        return text.first { !whiteSpace.contains($0) } == UInt8(ascii: "[")
    }

    /// The first bytes of a file.
    static func start(of path: String) throws(FileError) -> [UInt8] {
        let file = try FileReader(path: path)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: lookedAtBytes, alignment: 16)
        defer { buffer.deallocate() }
        return Array(buffer[..<(try file.read(into: buffer))])
    }

    private static let whiteSpace: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
}
