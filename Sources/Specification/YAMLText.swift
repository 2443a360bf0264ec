import JSON

/// Writes values as YAML in block style: what it writes is read as the same values by YAML 1.1 and 1.2.
enum YAMLText {
    /// The text of a document whose root is a mapping.
    static func text(of document: JSONObject) -> String { block(.object(document), indent: 0) }

    private static func block(_ value: JSONValue, indent: Int) -> String {
        let margin = String(repeating: "  ", count: indent)
        switch value {
        case .object(let members) where !members.isEmpty:
            return members.map { key, member in
                let name = isPlain(key) ? key : quoted(key)
                guard isNested(member) else { return "\(margin)\(name): \(scalar(member))\n" }
                return "\(margin)\(name):\n" + block(member, indent: indent + 1)
            }.joined()
        case .array(let elements) where !elements.isEmpty:
            return elements.map { "\(margin)- \(flow($0))\n" }.joined()
        default: return "\(margin)\(scalar(value))\n"
        }
    }

    private static func isNested(_ value: JSONValue) -> Bool {
        switch value {
        case .object(let members): !members.isEmpty
        case .array(let elements): !elements.isEmpty
        default: false
        }
    }

    /// JSON is YAML's flow style, but for the forms of its numbers.
    private static func flow(_ value: JSONValue) -> String {
        switch value {
        case .object(let members): "{" + members.map { "\(quoted($0.key)): \(flow($0.value))" }.joined(separator: ", ") + "}"
        case .array(let elements): "[" + elements.map(flow).joined(separator: ", ") + "]"
        default: scalar(value)
        }
    }

    private static func scalar(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .double(let number): self.number(number)
        case .object: "{}"
        case .array: "[]"
        default: String(decoding: JSONWriter().bytes(of: value), as: UTF8.self)
        }
    }

    /// YAML 1.1 takes a number with an exponent for a text where it has no decimal point, or no sign before its exponent.
    private static func number(_ number: Double) -> String {
        if number.isNaN { return ".nan" }
        if number.isInfinite { return number < 0 ? "-.inf" : ".inf" }
        let parts = number.description.split(separator: "e", omittingEmptySubsequences: false)
        let mantissa = parts[0].contains(".") ? String(parts[0]) : parts[0] + ".0"
        guard parts.count == 2 else { return mantissa }
        return mantissa + "e" + (parts[1].hasPrefix("-") ? "" : "+") + parts[1].drop { $0 == "+" }
    }

    /// Keys of letters, digits and `_` that YAML takes for nothing else.
    private static func isPlain(_ key: String) -> Bool {
        guard let first = key.utf8.first, first == UInt8(ascii: "_") || (0x61...0x7A).contains(first | 0x20) else { return false }
        let words: Set<String> = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        return !words.contains(key.lowercased())
            && key.utf8.allSatisfy { $0 == UInt8(ascii: "_") || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) }
    }

    private static func quoted(_ text: String) -> String {
        let json = String(decoding: JSONWriter().bytes(of: .string(text)), as: UTF8.self)
        guard json.unicodeScalars.contains(where: isSpecial) else { return json }
        return json.unicodeScalars.map { isSpecial($0) ? "\\u" + hexadecimal($0) : String($0) }.joined()
    }

    private static func hexadecimal(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// What YAML takes for the end of a line where JSON does not, or takes nowhere: no such scalar lies beyond U+FFFF.
    private static func isSpecial(_ scalar: Unicode.Scalar) -> Bool {
        (0x7F...0x9F).contains(scalar.value) || [0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF].contains(scalar.value)
    }
}
