/// A place in a JSON document (RFC 6901), such as `/jobs/sft/params/epochs`.
public struct JSONPointer: Sendable, Hashable, CustomStringConvertible {
    /// Unescaped reference tokens, from the root down.
    public var tokens: [String]

    public init(_ tokens: [String] = []) { self.tokens = tokens }

    /// Reads the text form; `nil` where it neither is empty nor starts with `/`.
    public init?(text: String) {
        guard !text.isEmpty else { self.tokens = []; return }
        // By scalars: a mark after the slash makes one character of both.
        guard text.unicodeScalars.first == "/" else { return nil }
        tokens = text.unicodeScalars.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { token in
            String(token).split(separator: "~1", omittingEmptySubsequences: false).joined(separator: "/")
                .split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~")
        }
    }

    /// The place of a member.
    public static func / (parent: JSONPointer, token: String) -> JSONPointer { JSONPointer(parent.tokens + [token]) }
    /// The place of an element.
    public static func / (parent: JSONPointer, index: Int) -> JSONPointer { parent / String(index) }

    /// The text form; RFC 6901 section 3 escapes `~` and `/`.
    public var description: String {
        tokens.map { token in
            "/"
                + token.split(separator: "~", omittingEmptySubsequences: false).joined(separator: "~0")
                .split(separator: "/", omittingEmptySubsequences: false).joined(separator: "~1")
        }.joined()
    }
}

extension JSONValue {
    /// The value at `pointer`, or `nil` where there is none.
    public subscript(pointer: JSONPointer) -> JSONValue? {
        var value = self
        for token in pointer.tokens {
            let next: JSONValue? = if case .array = value { Self.index(token).flatMap { value[$0] } } else { value[token] }
            guard let next else { return nil }
            value = next
        }
        return value
    }

    /// RFC 6901 section 4: an index has digits alone, and no leading zero.
    private static func index(_ token: String) -> Int? {
        guard token.utf8.allSatisfy({ (0x30...0x39).contains($0) }), token.utf8.count == 1 || token.utf8.first != 0x30 else { return nil }
        return Int(token)
    }
}
