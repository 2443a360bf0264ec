/// What an identifier names. The raw value is its prefix.
public enum IdentifierKind: String, Sendable, CaseIterable {
    case experiment = "exp"
    case job
    case attempt = "att"
    case dataset = "ds"
    case checkpoint = "ckpt"
    case evaluation = "eval"
    case request = "req"
    /// A run that a tracking client made beside its job's own.
    case run
    case webhook = "hook"
    /// A message that a webhook sends.
    case message = "msg"
    case token = "tok"
}

/// Makes identifiers such as `job_01k9w3c2vn0000a7k3d9m2x5q8`: a prefix, then 48 bits of time in milliseconds and 80 bits that
/// grow within one millisecond and are random otherwise, in Crockford's base 32 in lower case (the layout of a ULID).
///
/// Sorted as text they are sorted by the time at which they were made, also within one millisecond.
public struct IdentifierGenerator: Sendable {
    private var lastMilliseconds: Int64 = 0
    private var high: UInt16 = 0
    private var low: UInt64 = 0

    public init() {}

    public mutating func next(_ kind: IdentifierKind, at moment: Timestamp, using random: inout some RandomNumberGenerator) -> String {
        if moment.milliseconds > lastMilliseconds {
            lastMilliseconds = moment.milliseconds
            // The top bit starts clear, so that counting up within the millisecond cannot overflow in practice.
            high = UInt16.random(in: 0...0x7FFF, using: &random)
            low = UInt64.random(in: 0...UInt64.max, using: &random)
        } else {
            low &+= 1
            if low == 0 { high &+= 1 }
        }
        return kind.rawValue + "_" + Self.text(milliseconds: UInt64(lastMilliseconds), high: high, low: low)
    }

    /// Whether a text has the form of an identifier of a kind.
    public static func isIdentifier(_ text: String, of kind: IdentifierKind) -> Bool {
        let digits = text.utf8.dropFirst(kind.rawValue.utf8.count + 1)
        return text.hasPrefix(kind.rawValue + "_") && digits.count == 26 && digits.allSatisfy(alphabet.contains)
    }

    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    private static func text(milliseconds: UInt64, high: UInt16, low: UInt64) -> String {
        let upper = (milliseconds << 16) | UInt64(high)
        var digits = [UInt8](repeating: 0, count: 26)
        // 128 bits in groups of five from the right; the leftmost digit carries the two bits that remain.
        var number = (upper, low)
        for position in stride(from: 25, through: 0, by: -1) {
            digits[position] = alphabet[Int(number.1 & 31)]
            number.1 = (number.1 >> 5) | (number.0 << 59)
            number.0 >>= 5
        }
        return String(decoding: digits, as: UTF8.self)
    }
}
