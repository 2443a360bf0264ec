/// Finds what is special inside a string of JSON.
public enum PlainText {
    /// The place from `start` on up to which no quote, backslash or control character stands, found eight bytes at a time; the next of
    /// these is less than eight bytes further.
    public static func end(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        let raw = UnsafeRawBufferPointer(bytes)
        var offset = start
        while offset + 8 <= raw.count {
            let word = raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let quotes = below(word ^ ones &* UInt64(UInt8(ascii: "\"")), 1)
            let slashes = below(word ^ ones &* UInt64(UInt8(ascii: "\\")), 1)
            if below(word, 0x20) | quotes | slashes != 0 { break }
            offset += 8
        }
        return offset
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// Not zero where some byte is below `limit`, which is at most 0x80 (Mycroft, 1987).
    private static func below(_ word: UInt64, _ limit: UInt64) -> UInt64 { (word &- ones &* limit) & ~word & highs }
}
