/// Decodes UTF-8 that comes in chunks; bytes that are none become U+FFFD, as in Python's `errors="replace"`.
struct UTF8Repair {
    /// The start of a sequence whose rest is in the next chunk; three bytes at most.
    private var pending: [UInt8] = []
    /// True once a byte had to be replaced.
    private(set) var hasReplaced = false

    /// Appends the valid UTF-8 that `chunk` makes together with what was held back.
    mutating func append(_ chunk: UnsafeBufferPointer<UInt8>, isLast: Bool, to output: inout [UInt8]) {
        let held = isLast ? 0 : Self.incompleteTail(of: chunk)
        let complete = chunk[..<(chunk.count - held)]
        if pending.isEmpty {
            appendRepaired(UnsafeBufferPointer(rebasing: complete), to: &output)
            pending = Array(chunk.suffix(held))
            return
        }
        // Without a lead byte in this chunk the held sequence may go on into the next one.
        var joined = pending + complete
        joined.append(contentsOf: chunk.suffix(held))
        let tail = isLast ? 0 : joined.withUnsafeBufferPointer(Self.incompleteTail)
        joined.withUnsafeBufferPointer { bytes in
            appendRepaired(UnsafeBufferPointer(rebasing: bytes[..<(bytes.count - tail)]), to: &output)
        }
        pending = Array(joined.suffix(tail))
    }

    private mutating func appendRepaired(_ bytes: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        if UTF8Check.isValid(bytes) { return output.append(contentsOf: bytes) }
        hasReplaced = true
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

/// Whether bytes are UTF-8, at several bytes a step where they are ASCII.
enum UTF8Check {
    static func isValid(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let raw = UnsafeRawBufferPointer(bytes)
        var offset = 0
        while offset < bytes.count {
            if offset + 8 <= bytes.count, raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
                offset += 8
                continue
            }
            // Most characters of Japanese have three bytes; E0 and ED have rules of their own for the second.
            if offset + 4 <= bytes.count, bytes[offset] != 0xE0, bytes[offset] != 0xED,
                UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) & 0x00C0_C0F0 == 0x0080_80E0
            {
                offset += 3
                continue
            }
            let length = sequence(bytes, at: offset)
            if length == 0 { return false }
            offset += length
        }
        return true
    }

    /// Bytes of the character at `offset`, 0 where there is none (Unicode 15, table 3-7).
    private static func sequence(_ bytes: UnsafeBufferPointer<UInt8>, at offset: Int) -> Int {
        let lead = bytes[offset]
        if lead < 0x80 { return 1 }
        let left = bytes.count - offset
        switch lead {
        case 0xC2...0xDF: return left > 1 && isTail(bytes[offset + 1]) ? 2 : 0
        case 0xE0...0xEF:
            guard left > 2, isTail(bytes[offset + 1]), isTail(bytes[offset + 2]) else { return 0 }
            if lead == 0xE0, bytes[offset + 1] < 0xA0 { return 0 }
            return lead == 0xED && bytes[offset + 1] > 0x9F ? 0 : 3
        case 0xF0...0xF4:
            guard left > 3, isTail(bytes[offset + 1]), isTail(bytes[offset + 2]), isTail(bytes[offset + 3]) else { return 0 }
            if lead == 0xF0, bytes[offset + 1] < 0x90 { return 0 }
            return lead == 0xF4 && bytes[offset + 1] > 0x8F ? 0 : 4
        default: return 0
        }
    }

    private static func isTail(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
}
