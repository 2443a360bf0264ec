/// Why a text is not JSON, and where.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Bytes from the start of the text to the place of the error.
    public var offset: Int
    public var message: String
    /// True where the text ended inside a value, so that more text might complete it.
    public var isTruncation: Bool

    public var description: String { "\(message) at byte \(offset)" }
}

/// A recursive-descent JSON reader over UTF-8 bytes.
///
/// Strict RFC 8259 by default. `Options` names each tolerance.
public struct JSONParser: Sendable {
    /// What is accepted beyond RFC 8259, and how deep.
    public struct Options: Sendable {
        /// Accept `NaN`, `Infinity` and `-Infinity`, as Python's `json` module reads and writes them.
        public var allowsNonFiniteNumbers = false
        /// Refuse an object that repeats a key; otherwise the last one wins.
        public var rejectsDuplicateKeys = false
        /// Replace bytes that are not UTF-8 by U+FFFD; otherwise they are an error.
        public var repairsUTF8 = false
        /// Containers within containers allowed; guards the stack.
        public var depthMax = 256

        public init() {}
        /// What Python's `json.loads` accepts.
        public static var python: Options {
            var options = Options()
            options.allowsNonFiniteNumbers = true
            options.repairsUTF8 = true
            return options
        }
    }

    private let options: Options

    public init(options: Options = Options()) { self.options = options }

    /// Reads one document: a value with nothing but white space around it.
    public static func parse(_ bytes: some Sequence<UInt8>, options: Options = Options()) throws(JSONError) -> JSONValue {
        let result: Result<JSONValue, JSONError>
        let parser = JSONParser(options: options)
        if let direct = bytes.withContiguousStorageIfAvailable({ parser.document(in: $0) }) {
            result = direct
        } else {
            result = ContiguousArray(bytes).withUnsafeBufferPointer { parser.document(in: $0) }
        }
        return try result.get()
    }

    /// Reads one document from text.
    public static func parse(_ text: String, options: Options = Options()) throws(JSONError) -> JSONValue {
        try parse(text.utf8, options: options)
    }

    private func document(in bytes: UnsafeBufferPointer<UInt8>) -> Result<JSONValue, JSONError> {
        do throws(JSONError) {
            var cursor = Cursor(bytes: bytes, offset: 0, options: options)
            cursor.skipWhitespace()
            let value = try cursor.value(depth: 0)
            cursor.skipWhitespace()
            guard cursor.offset == bytes.count else { throw cursor.failure("unexpected text after the value") }
            return .success(value)
        } catch {
            return .failure(error)
        }
    }

    /// Reads one value that starts exactly at `offset` and reports where it ends; text after it is not looked at.
    public func value(in bytes: UnsafeBufferPointer<UInt8>, at offset: Int) throws(JSONError) -> (value: JSONValue, end: Int) {
        var cursor = Cursor(bytes: bytes, offset: offset, options: options)
        let value = try cursor.value(depth: 0)
        return (value, cursor.offset)
    }
}

private struct Cursor {
    let bytes: UnsafeBufferPointer<UInt8>
    var offset: Int
    let options: JSONParser.Options

    func failure(_ message: String) -> JSONError {
        JSONError(offset: offset, message: message, isTruncation: offset >= bytes.count)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    mutating func skipWhitespace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return
            }
        }
    }

    mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= options.depthMax else { throw failure("more than \(options.depthMax) levels of nesting") }
        switch current {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): try literal("true"); return .bool(true)
        case UInt8(ascii: "f"): try literal("false"); return .bool(false)
        case UInt8(ascii: "n"): try literal("null"); return .null
        case UInt8(ascii: "N") where options.allowsNonFiniteNumbers: try literal("NaN"); return .double(.nan)
        case UInt8(ascii: "I") where options.allowsNonFiniteNumbers: try literal("Infinity"); return .double(.infinity)
        case UInt8(ascii: "-"): return try number()
        case let byte? where Self.isDigit(byte): return try number()
        case nil: throw failure("the text ends where a value should stand")
        default: throw failure("expected a value")
        }
    }

    private mutating func literal(_ text: StaticString) throws(JSONError) {
        for index in 0..<text.utf8CodeUnitCount {
            guard current == text.utf8Start[index] else { throw failure("expected '\(text)'") }
            offset += 1
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var members = JSONObject()
        skipWhitespace()
        if current == UInt8(ascii: "}") { offset += 1; return .object(members) }
        while true {
            guard current == UInt8(ascii: "\"") else { throw failure("expected a member name in double quotes") }
            let keyOffset = offset
            let key = try string()
            skipWhitespace()
            guard current == UInt8(ascii: ":") else { throw failure("expected ':' after a member name") }
            offset += 1
            skipWhitespace()
            let member = try value(depth: depth + 1)
            if members.updateValue(member, forKey: key) != nil, options.rejectsDuplicateKeys {
                throw JSONError(offset: keyOffset, message: "the key '\(key)' stands twice", isTruncation: false)
            }
            skipWhitespace()
            switch current {
            case UInt8(ascii: ","): offset += 1; skipWhitespace()
            case UInt8(ascii: "}"): offset += 1; return .object(members)
            default: throw failure("expected ',' or '}'")
            }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var elements: [JSONValue] = []
        skipWhitespace()
        if current == UInt8(ascii: "]") { offset += 1; return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipWhitespace()
            switch current {
            case UInt8(ascii: ","): offset += 1; skipWhitespace()
            case UInt8(ascii: "]"): offset += 1; return .array(elements)
            default: throw failure("expected ',' or ']'")
            }
        }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        if current == UInt8(ascii: "-") {
            offset += 1
            if current == UInt8(ascii: "I"), options.allowsNonFiniteNumbers {
                try literal("Infinity")
                return .double(-.infinity)
            }
        }
        if current == UInt8(ascii: "0") { offset += 1 } else { try digits() }
        var isInteger = true
        if current == UInt8(ascii: ".") { isInteger = false; offset += 1; try digits() }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isInteger = false
            offset += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger { return Int64(text).map(JSONValue.int) ?? .bigInteger(text) }
        guard let value = Double(text) else { throw failure("a number that cannot be read") }
        return .double(value)
    }

    private mutating func digits() throws(JSONError) {
        let start = offset
        while let byte = current, Self.isDigit(byte) { offset += 1 }
        guard offset > start else { throw failure("expected a digit") }
    }

    /// Reads a string; the cursor stands on its opening quote.
    private mutating func string() throws(JSONError) -> String {
        offset += 1
        let start = offset
        offset = PlainText.end(in: bytes, from: offset)
        while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { offset += 1 }
        if current == UInt8(ascii: "\"") {
            defer { offset += 1 }
            return try decoded(bytes[start..<offset])
        }
        return try escapedString(from: start)
    }

    private mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var buffer = ContiguousArray(bytes[start..<offset])
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                defer { offset += 1 }
                return try decoded(buffer)
            case UInt8(ascii: "\\"):
                offset += 1
                try escape(into: &buffer)
            case 0..<0x20:
                throw failure("a control character inside a string")
            default:
                buffer.append(byte)
                offset += 1
            }
        }
        throw failure("the text ends inside a string")
    }

    private func decoded(_ slice: some Collection<UInt8>) throws(JSONError) -> String {
        if options.repairsUTF8 { return String(decoding: slice, as: UTF8.self) }
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw JSONError(offset: offset, message: "a string that is not UTF-8", isTruncation: false)
        }
        return text
    }

    private mutating func escape(into buffer: inout ContiguousArray<UInt8>) throws(JSONError) {
        guard let byte = current else { throw failure("the text ends inside a string") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"): buffer.append(contentsOf: String(Character(try unicodeEscape())).utf8)
        default: throw failure("an unknown escape in a string")
        }
    }

    /// Reads the digits of `\u` and, for a high surrogate, of its partner. A lone surrogate has no UTF-8 form and becomes U+FFFD.
    private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let first = try hexadecimal()
        guard (0xD800...0xDBFF).contains(first) else { return Unicode.Scalar(first) ?? "\u{FFFD}" }
        guard offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"), bytes[offset + 1] == UInt8(ascii: "u") else {
            return "\u{FFFD}"
        }
        let before = offset
        offset += 2
        let second = try hexadecimal()
        guard (0xDC00...0xDFFF).contains(second) else { offset = before; return "\u{FFFD}" }
        return Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)) ?? "\u{FFFD}"
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt32 {
        guard offset + 4 <= bytes.count else { offset = bytes.count; throw failure("the text ends inside a string") }
        var code: UInt32 = 0
        for _ in 0..<4 {
            let byte = bytes[offset]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): code = code << 4 + UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): code = code << 4 + UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): code = code << 4 + UInt32(byte - UInt8(ascii: "A") + 10)
            default: throw failure("expected four hexadecimal digits")
            }
            offset += 1
        }
        return code
    }
}
