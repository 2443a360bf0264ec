/// Percent-decoding of request targets (RFC 3986 §2.1).
package enum PercentCoding {
    /// Decodes `bytes`; none where a `%` is not followed by two hexadecimal digits or the result is not UTF-8 or holds a NUL.
    ///
    /// - Parameters:
    ///   - keepsSlashes: leaves `%2F` as it is, so that a decoded path has the segments that the sender meant.
    ///   - plusIsSpace: reads `+` as a space, as HTML forms write queries.
    package static func decode(_ bytes: ArraySlice<UInt8>, keepsSlashes: Bool = false, plusIsSpace: Bool = false) -> String? {
        guard bytes.contains(UInt8(ascii: "%")) || (plusIsSpace && bytes.contains(UInt8(ascii: "+"))) else {
            // Without a code there is nothing but ASCII: llhttp takes no other bytes in a target.
            return bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
        }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "+"), plusIsSpace {
                decoded.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%") {
                guard index + 1 < bytes.endIndex, let high = digit(bytes[index]), let low = digit(bytes[index + 1]) else { return nil }
                let value = high << 4 | low
                guard value != 0 else { return nil }
                if value == UInt8(ascii: "/"), keepsSlashes {
                    decoded.append(contentsOf: bytes[(index - 1)...(index + 1)])
                } else {
                    decoded.append(value)
                }
                index += 2
            } else {
                decoded.append(byte)
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
