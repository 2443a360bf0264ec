/// The part of a response that is its answer.
public enum AnswerText {
    private static let opening = "<think>"
    private static let closing = "</think>"

    /// The text after the last `</think>`, trimmed; `nil` where the reasoning was begun and not ended.
    public static func afterReasoning(_ response: String) -> String? {
        let bytes = Array(response.utf8)
        if let end = lastOccurrence(of: Array(closing.utf8), in: bytes) {
            return trimmed(String(decoding: bytes[(end + closing.utf8.count)...], as: UTF8.self))
        }
        if lastOccurrence(of: Array(opening.utf8), in: bytes) != nil { return nil }
        return trimmed(response)
    }

    /// The text without white space at its ends.
    public static func trimmed(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[first...last])
    }

    /// True for the same characters, and for the same number written differently, such as `1,000.0` and `1000`.
    public static func isEqual(_ left: String, _ right: String) -> Bool {
        // Compared byte by byte: Swift's == would also take different Unicode spellings of a letter for equal.
        if left.utf8.elementsEqual(right.utf8) { return true }
        guard let first = canonicalNumber(left), let second = canonicalNumber(right) else { return false }
        return first.utf8.elementsEqual(second.utf8)
    }

    /// A decimal number without plus sign, thousands separators, leading zeros and zeros after its fraction; `nil` for other text.
    public static func canonicalNumber(_ text: String) -> String? {
        var bytes = Array(text.utf8)
        var isNegative = false
        if let sign = bytes.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            bytes.removeFirst()
        }
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first.flatMap({ integerDigits($0) }) else { return nil }
        var fraction: ArraySlice<UInt8> = []
        if parts.count == 2 {
            guard !parts[1].isEmpty, parts[1].allSatisfy(isDigit) else { return nil }
            fraction = parts[1]
            while fraction.last == UInt8(ascii: "0") { fraction.removeLast() }
        }
        let digits = Array(whole.drop { $0 == UInt8(ascii: "0") })
        var number = digits.isEmpty ? [UInt8(ascii: "0")] : digits
        if !fraction.isEmpty { number += [UInt8(ascii: ".")] + fraction }
        let isZero = number == [UInt8(ascii: "0")]
        return (isNegative && !isZero ? "-" : "") + String(decoding: number, as: UTF8.self)
    }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// The digits of an integer; commas are taken only where they part groups of three.
    private static func integerDigits(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        let groups = bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard groups.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }) else { return nil }
        if groups.count > 1 {
            guard let first = groups.first, first.count <= 3, groups.dropFirst().allSatisfy({ $0.count == 3 }) else { return nil }
        }
        return groups.flatMap { Array($0) }
    }

    static func lastOccurrence(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= pattern.count else { return nil }
        for start in stride(from: bytes.count - pattern.count, through: 0, by: -1)
        where bytes[start] == pattern[0] && bytes[start..<(start + pattern.count)].elementsEqual(pattern) {
            return start
        }
        return nil
    }
}
