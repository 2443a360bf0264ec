import JSON

/// A text that may contain references: `${data.train}`, with `$${` for a literal `${`.
public struct ReferenceText: Sendable, Hashable {
    /// A reference as it is written: the name before the first dot and the rest.
    public struct Token: Sendable, Hashable {
        /// A job's name, or `matrix`.
        public var name: String
        /// An output such as `train` or `checkpoint.best`, or the key of the matrix.
        public var path: String

        /// The text between the braces.
        public var raw: String { name + "." + path }
    }

    /// A piece of the text.
    public enum Part: Sendable, Hashable {
        case literal(String)
        case reference(Token)
    }

    /// Why a text cannot be read.
    public struct Problem: Error, Sendable, Hashable {
        /// One sentence for people.
        public var detail: String
    }

    public var parts: [Part]

    /// Reads `text`.
    public init(_ text: String) throws(Problem) {
        guard Self.mightRefer(text) else { parts = text.isEmpty ? [] : [.literal(text)]; return }
        parts = []
        let bytes = Array(text.utf8)
        var literal: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: "$${".utf8) {
                literal.append(contentsOf: "${".utf8)
                index += 3
            } else if bytes[index...].starts(with: "${".utf8) {
                if !literal.isEmpty { parts.append(.literal(String(decoding: literal, as: UTF8.self))); literal = [] }
                let inner = bytes[(index + 2)...].prefix { $0 != UInt8(ascii: "}") }
                guard inner.endIndex < bytes.count else {
                    throw Problem(detail: "a '${' without its '}'; write '$${' for a literal '${'")
                }
                parts.append(.reference(try Self.token(String(decoding: inner, as: UTF8.self))))
                index = inner.endIndex + 1
            } else {
                literal.append(bytes[index])
                index += 1
            }
        }
        if !literal.isEmpty { parts.append(.literal(String(decoding: literal, as: UTF8.self))) }
    }

    /// The reference, where the text is one reference and nothing else.
    public var whole: Token? {
        guard parts.count == 1, case .reference(let token) = parts[0] else { return nil }
        return token
    }

    /// The references in order.
    public var references: [Token] {
        parts.compactMap { part in if case .reference(let token) = part { token } else { nil } }
    }

    /// The text with each reference replaced.
    public func substituting(_ replacement: (Token) -> String) -> String {
        parts.map { part in
            switch part {
            case .literal(let text): text
            case .reference(let token): replacement(token)
            }
        }.joined()
    }

    /// The text as one would write it in a spec.
    public var written: String {
        parts.map { part in
            switch part {
            case .literal(let text): Self.escaping(text)
            case .reference(let token): "${\(token.raw)}"
            }
        }.joined()
    }

    /// `text` with each `${` written as `$${`, so that it is read back as it is.
    public static func escaping(_ text: String) -> String {
        guard mightRefer(text) else { return text }
        return text.split(separator: "${", omittingEmptySubsequences: false).joined(separator: "$${")
    }

    /// False where the text surely contains neither a reference nor an escape.
    static func mightRefer(_ text: String) -> Bool {
        var previous: UInt8 = 0
        for byte in text.utf8 {
            if byte == UInt8(ascii: "{"), previous == UInt8(ascii: "$") { return true }
            previous = byte
        }
        return false
    }

    private static func token(_ inner: String) throws(Problem) -> Token {
        let text = inner.trimmingSpaces()
        guard let dot = text.firstIndex(of: "."), dot > text.startIndex, text.index(after: dot) < text.endIndex,
            text.utf8.allSatisfy(isReferenceByte)
        else {
            throw Problem(
                detail:
                    "'${\(inner)}' is no reference; write '${job.output}', or '$${\(inner)}' for the literal text (a shell variable, say)")
        }
        return Token(name: String(text[..<dot]), path: String(text[text.index(after: dot)...]))
    }

    private static func isReferenceByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "@"), UInt8(ascii: "/"): true
        default: false
        }
    }
}
