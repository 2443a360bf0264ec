import JSON

/// Reads plain YAML scalars by the core schema of YAML 1.2 (section 10.3.2).
///
/// The traps of YAML 1.1 do not exist here: `no`, `on` and `off` are strings, `12:30` is a string, and `3e-6` is a number.
enum YAMLScalar {
    /// The value of a plain scalar; anything that is no null, boolean or number is a string.
    static func resolve(_ text: String) -> JSONValue {
        guard let first = text.utf8.first else { return .null }
        switch first {
        case UInt8(ascii: "~"), UInt8(ascii: "n"), UInt8(ascii: "N"):
            if ["~", "null", "Null", "NULL"].contains(text) { return .null }
        case UInt8(ascii: "t"), UInt8(ascii: "T"):
            if ["true", "True", "TRUE"].contains(text) { return .bool(true) }
        case UInt8(ascii: "f"), UInt8(ascii: "F"):
            if ["false", "False", "FALSE"].contains(text) { return .bool(false) }
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            if let number = number(text) { return number }
        default: break
        }
        return .string(text)
    }

    private static func number(_ text: String) -> JSONValue? {
        if let value = prefixed(text, "0x", radix: 16) ?? prefixed(text, "0o", radix: 8) { return value }
        var bytes = Array(text.utf8)[...]
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative || bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
        let unsigned = String(decoding: bytes, as: UTF8.self)
        if [".inf", ".Inf", ".INF"].contains(unsigned) { return .double(isNegative ? -.infinity : .infinity) }
        if [".nan", ".NaN", ".NAN"].contains(text) { return .double(.nan) }
        let whole = digits(&bytes)
        if bytes.isEmpty, whole > 0 { return integer(unsigned, isNegative: isNegative) }
        var fraction = 0
        if bytes.first == UInt8(ascii: ".") {
            bytes = bytes.dropFirst()
            fraction = digits(&bytes)
        }
        guard whole + fraction > 0 else { return nil }
        if bytes.first == UInt8(ascii: "e") || bytes.first == UInt8(ascii: "E") {
            bytes = bytes.dropFirst()
            if bytes.first == UInt8(ascii: "-") || bytes.first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }
            guard digits(&bytes) > 0 else { return nil }
        }
        guard bytes.isEmpty, let value = Double(unsigned) else { return nil }
        return .double(isNegative ? -value : value)
    }

    private static func digits(_ bytes: inout ArraySlice<UInt8>) -> Int {
        let count = bytes.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
        bytes = bytes.dropFirst(count)
        return count
    }

    private static func integer(_ digits: String, isNegative: Bool) -> JSONValue {
        let text = (isNegative ? "-" : "") + digits
        return Int64(text).map(JSONValue.int) ?? .bigInteger(text)
    }

    private static func prefixed(_ text: String, _ prefix: String, radix: Int) -> JSONValue? {
        guard text.hasPrefix(prefix) else { return nil }
        let digits = text.dropFirst(prefix.count)
        guard let first = digits.first, first != "-", first != "+" else { return nil }
        return Int64(digits, radix: radix).map(JSONValue.int)
    }
}
