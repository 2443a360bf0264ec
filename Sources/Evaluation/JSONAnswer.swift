import JSON

/// Answers that are JSON documents.
public enum JSONAnswer {
    /// Places of a text at which a document is looked for.
    private static let startsMax = 1000

    /// The document in a response: all of it, or else the last object or array that stands in it, as in a fenced block.
    public static func document(in text: String) -> JSONValue? {
        let bytes = Array(text.utf8)
        // Text around a document is no error here; it is what the search below is for.
        if let whole = try? JSONParser.parse(AnswerText.trimmed(text)) { return whole }
        var last: JSONValue?
        var index = 0
        var starts = 0
        while index < bytes.count, starts < startsMax {
            guard bytes[index] == UInt8(ascii: "{") || bytes[index] == UInt8(ascii: "[") else {
                index += 1
                continue
            }
            starts += 1
            // A bracket that opens no document is passed over.
            if let end = end(ofDocumentAt: index, in: bytes), let value = try? JSONParser.parse(Array(bytes[index..<end])) {
                last = value
                index = end
            } else {
                index += 1
            }
        }
        return last
    }

    /// The place behind the bracket that closes the one at `start`; brackets in strings do not count.
    private static func end(ofDocumentAt start: Int, in bytes: [UInt8]) -> Int? {
        var depth = 0
        var isString = false
        var index = start
        while index < bytes.count {
            let byte = bytes[index]
            if isString {
                if byte == UInt8(ascii: "\\") { index += 1 } else if byte == UInt8(ascii: "\"") { isString = false }
            } else if byte == UInt8(ascii: "\"") {
                isString = true
            } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                depth += 1
            } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                depth -= 1
                if depth == 0 { return index + 1 }
            }
            index += 1
        }
        return nil
    }

    /// True for the same document: numbers by their value, members in any order.
    ///
    /// - Parameter isPart: whether objects of `value` may have members that `expected` has not.
    public static func matches(_ value: JSONValue, _ expected: JSONValue, isPart: Bool = false) -> Bool {
        switch (value, expected) {
        case (.object(let members), .object(let wanted)):
            guard isPart || members.count == wanted.count else { return false }
            return wanted.allSatisfy { key, want in members[key].map { matches($0, want, isPart: isPart) } ?? false }
        case (.array(let elements), .array(let wanted)):
            return elements.count == wanted.count && zip(elements, wanted).allSatisfy { matches($0, $1, isPart: isPart) }
        case (.int(let left), .int(let right)): return left == right
        case (.bigInteger(let left), .bigInteger(let right)): return left == right
        default:
            if let left = value.double, let right = expected.double { return left == right }
            return value == expected
        }
    }

    /// The document on one line with its members in order, so that equal answers get the same vote.
    public static func canonicalText(_ value: JSONValue) -> String {
        String(decoding: JSONWriter(sortsKeys: true).bytes(of: value), as: UTF8.self)
    }
}
