/// Turns JSON values into text.
public struct JSONWriter: Sendable {
    /// How the text is spaced.
    public enum Layout: Sendable {
        /// No white space.
        case compact
        /// One line with `", "` and `": "`, as Python's `json.dumps(…, ensure_ascii=False)` writes.
        case python
        /// Two spaces a level.
        case pretty
    }

    private let layout: Layout
    private let sortsKeys: Bool

    public init(layout: Layout = .compact, sortsKeys: Bool = false) {
        self.layout = layout
        self.sortsKeys = sortsKeys
    }

    /// The text of `value`, in UTF-8.
    ///
    /// NaN and infinities have no JSON form: in Python's layout they become its bare `NaN`, `Infinity`, `-Infinity`, elsewhere
    /// the strings of the same text, which MLflow's clients read too.
    public func bytes(of value: JSONValue) -> [UInt8] {
        var output: [UInt8] = []
        append(value, to: &output)
        return output
    }

    /// Appends the text of `value`, in UTF-8.
    public func append(_ value: JSONValue, to output: inout [UInt8]) { append(value, level: 0, to: &output) }

    private func append(_ value: JSONValue, level: Int, to output: inout [UInt8]) {
        switch value {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let flag): output.append(contentsOf: (flag ? "true" : "false").utf8)
        case .int(let number): output.append(contentsOf: String(number).utf8)
        case .double(let number): append(number, to: &output)
        case .bigInteger(let digits): output.append(contentsOf: digits.utf8)
        case .string(let text): Self.appendQuoted(text, to: &output)
        case .array(let elements): appendArray(elements, level: level, to: &output)
        case .object(let members): appendObject(members, level: level, to: &output)
        }
    }

    private func append(_ number: Double, to output: inout [UInt8]) {
        if number.isFinite {
            // Python goes over to exponents at 1e16, Swift at 2^53; in between every double is a whole number.
            if case .python = layout, number.magnitude > 0x1p53, number.magnitude < 1e16 {
                output.append(contentsOf: "\(Int64(number)).0".utf8)
            } else {
                output.append(contentsOf: number.description.utf8)
            }
            return
        }
        let text = number.isNaN ? "NaN" : number > 0 ? "Infinity" : "-Infinity"
        if case .python = layout { output.append(contentsOf: text.utf8) } else { Self.appendQuoted(text, to: &output) }
    }

    private func appendArray(_ elements: [JSONValue], level: Int, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            appendSeparator(isFirst: index == 0, level: level + 1, to: &output)
            append(element, level: level + 1, to: &output)
        }
        if !elements.isEmpty { appendLineBreak(level: level, to: &output) }
        output.append(UInt8(ascii: "]"))
    }

    private func appendObject(_ members: JSONObject, level: Int, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "{"))
        let keys = sortsKeys ? Array(members.keys).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } : Array(members.keys)
        for (index, key) in keys.enumerated() {
            appendSeparator(isFirst: index == 0, level: level + 1, to: &output)
            Self.appendQuoted(key, to: &output)
            output.append(UInt8(ascii: ":"))
            if case .compact = layout {} else { output.append(UInt8(ascii: " ")) }
            append(members[key] ?? .null, level: level + 1, to: &output)
        }
        if !members.isEmpty { appendLineBreak(level: level, to: &output) }
        output.append(UInt8(ascii: "}"))
    }

    private func appendSeparator(isFirst: Bool, level: Int, to output: inout [UInt8]) {
        if !isFirst {
            output.append(UInt8(ascii: ","))
            if case .python = layout { output.append(UInt8(ascii: " ")) }
        }
        appendLineBreak(level: level, to: &output)
    }

    private func appendLineBreak(level: Int, to output: inout [UInt8]) {
        guard case .pretty = layout else { return }
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: level * 2))
    }

    /// Appends `text` in double quotes; only what RFC 8259 section 7 requires is escaped.
    public static func appendQuoted(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { bytes in
            var start = 0
            for (index, byte) in bytes.enumerated() where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                output.append(contentsOf: bytes[start..<index])
                start = index + 1
                appendEscape(byte, to: &output)
            }
            output.append(contentsOf: bytes[start...])
        }
        output.append(UInt8(ascii: "\""))
    }

    private static func appendEscape(_ byte: UInt8, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.append(byte)
        case 0x08: output.append(UInt8(ascii: "b"))
        case 0x09: output.append(UInt8(ascii: "t"))
        case 0x0A: output.append(UInt8(ascii: "n"))
        case 0x0C: output.append(UInt8(ascii: "f"))
        case 0x0D: output.append(UInt8(ascii: "r"))
        default:
            let digits = String(byte, radix: 16)
            output.append(contentsOf: "u00\(digits.utf8.count == 1 ? "0" : "")\(digits)".utf8)
        }
    }
}

extension JSONValue: CustomStringConvertible {
    /// Compact JSON text.
    public var description: String { text() }

    /// The value as JSON text.
    public func text(layout: JSONWriter.Layout = .compact, sortsKeys: Bool = false) -> String {
        String(decoding: JSONWriter(layout: layout, sortsKeys: sortsKeys).bytes(of: self), as: UTF8.self)
    }
}
