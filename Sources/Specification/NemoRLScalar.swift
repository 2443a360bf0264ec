import JSON

/// Reads plain YAML scalars as NeMo RL's programs do: OmegaConf over PyYAML, that is YAML 1.1 with its traps, but for dates, which stay
/// texts, and for numbers such as `1e-5`, which are numbers.
///
/// `yes`, `no`, `on` and `off` are booleans, `010` is 8, `1_000` is 1000, and `1:00:00` is 3600.
enum NemoRLScalar {
    static func resolve(_ text: String) -> JSONValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": return .bool(true)
        case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": return .bool(false)
        default: break
        }
        guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return .string(text) }
        return integer(text) ?? real(text) ?? .string(text)
    }

    private static func integer(_ text: String) -> JSONValue? {
        let isNegative = text.hasPrefix("-")
        let unsigned = isNegative || text.hasPrefix("+") ? text.dropFirst() : text[...]
        let digits = String(unsigned.replacing("_", with: ""))
        func number(_ magnitude: (some StringProtocol)?, radix: Int) -> JSONValue? {
            guard let magnitude, !magnitude.isEmpty else { return nil }
            if let value = Int64((isNegative ? "-" : "") + magnitude, radix: radix) { return .int(value) }
            return radix == 10 ? .bigInteger((isNegative ? "-" : "") + magnitude) : nil
        }
        if unsigned.wholeMatch(of: /0b[01_]+/) != nil { return number(digits.dropFirst(2), radix: 2) }
        if unsigned.wholeMatch(of: /0x[0-9a-fA-F_]+/) != nil { return number(digits.dropFirst(2), radix: 16) }
        if unsigned.wholeMatch(of: /0|[1-9][0-9_]*/) != nil { return number(digits, radix: 10) }
        if unsigned.wholeMatch(of: /0[0-7_]+/) != nil { return number(digits, radix: 8) }
        guard unsigned.wholeMatch(of: /[1-9][0-9_]*(:[0-5]?[0-9])+/) != nil else { return nil }
        return sixtieths(digits).flatMap { Int64(exactly: isNegative ? -$0 : $0) }.map(JSONValue.int)
    }

    private static func real(_ text: String) -> JSONValue? {
        let isNegative = text.hasPrefix("-")
        let isSigned = isNegative || text.hasPrefix("+")
        let unsigned = isSigned ? text.dropFirst() : text[...]
        func number(_ value: Double?) -> JSONValue? { value.map { .double(isNegative ? -$0 : $0) } }
        if [".inf", ".Inf", ".INF"].contains(unsigned) { return number(.infinity) }
        if [".nan", ".NaN", ".NAN"].contains(text) { return .double(.nan) }
        let digits = String(unsigned.replacing("_", with: ""))
        if unsigned.wholeMatch(of: /[0-9][0-9_]*(\.[0-9_]*)?([eE][\-+]?[0-9]+)?/) != nil { return number(Self.double(digits)) }
        // A number that begins with its point takes no sign before it.
        if !isSigned, text.wholeMatch(of: /\.[0-9][0-9_]*([eE][\-+][0-9]+)?/) != nil { return number(Self.double(digits)) }
        guard unsigned.wholeMatch(of: /[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*/) != nil else { return nil }
        return number(sixtieths(digits))
    }

    /// Also `1.`, `1.e5` and `.5`, which Swift does not take.
    private static func double(_ text: String) -> Double? {
        let parts = text.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        let (whole, fraction) = (mantissa[0], mantissa.count > 1 ? mantissa[1] : "")
        return Double("\(whole.isEmpty ? "0" : whole).\(fraction.isEmpty ? "0" : fraction)\(parts.count > 1 ? "e" + parts[1] : "")")
    }

    /// The value of `1:30:00`, in which each place counts sixty of the next.
    private static func sixtieths(_ text: String) -> Double? {
        var sum = 0.0
        for part in text.split(separator: ":") {
            guard let value = double(String(part)) else { return nil }
            sum = sum * 60 + value
        }
        return sum
    }
}
