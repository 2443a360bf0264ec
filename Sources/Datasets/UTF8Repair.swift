/// Decodes UTF-8 that comes in chunks; bytes that are none become U+FFFD, as in Python's `errors="replace"`.
struct UTF8Repair {
    /// The start of a sequence whose rest is in the next chunk; three bytes at most.
    private var pending: [UInt8] = []

    /// Appends the valid UTF-8 that `chunk` makes together with what was held back.
    mutating func append(_ chunk: UnsafeBufferPointer<UInt8>, isLast: Bool, to output: inout [UInt8]) {
        let held = isLast ? 0 : Self.incompleteTail(of: chunk)
        let complete = chunk[..<(chunk.count - held)]
        if pending.isEmpty {
            Self.appendRepaired(UnsafeBufferPointer(rebasing: complete), to: &output)
            pending = Array(chunk.suffix(held))
            return
        }
        // Without a lead byte in this chunk the held sequence may go on into the next one.
        var joined = pending + complete
        joined.append(contentsOf: chunk.suffix(held))
        let tail = isLast ? 0 : joined.withUnsafeBufferPointer(Self.incompleteTail)
        joined.withUnsafeBufferPointer { bytes in
            Self.appendRepaired(UnsafeBufferPointer(rebasing: bytes[..<(bytes.count - tail)]), to: &output)
        }
        pending = Array(joined.suffix(tail))
    }

    private static func appendRepaired(_ bytes: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        output.append(contentsOf: String(decoding: bytes, as: UTF8.self).utf8)
    }

    /// Bytes at the end that begin a sequence and do not complete it.
    private static func incompleteTail(of bytes: UnsafeBufferPointer<UInt8>) -> Int {
        for back in 1...3 where back <= bytes.count {
            switch bytes[bytes.count - back] {
            case 0x80...0xBF: continue
            case 0xC2...0xDF: return back < 2 ? back : 0
            case 0xE0...0xEF: return back < 3 ? back : 0
            case 0xF0...0xF4: return back < 4 ? back : 0
            default: return 0
            }
        }
        return 0
    }
}
