/// Where in a response its answer stands.
public enum AnswerExtraction: Sendable, Equatable {
    /// All of the text.
    case text
    /// In the last `\boxed{…}`, whose braces must be balanced.
    case boxed
    /// Behind the last `#### `, to the end of the line: how GSM8K marks its answers.
    case hashes
    /// In the last match of an expression: its first group, or all of it.
    case pattern(TextPattern)

    /// What NeMo-Skills looks for where answers are not boxed.
    public static let finalAnswerPattern = "The final answer is (.+)$"

    /// The answer in `response` behind its reasoning, without white space at its ends; `nil` where there is none.
    public func answer(in response: String) -> String? {
        guard let text = AnswerText.afterReasoning(response) else { return nil }
        let found: String? =
            switch self {
            case .text: text
            case .boxed: Self.lastBoxed(in: text)
            case .hashes: Self.behindHashes(in: text)
            case .pattern(let pattern): pattern.lastMatch(in: text)
            }
        guard let found else { return nil }
        let answer = AnswerText.trimmed(found)
        return answer.isEmpty ? nil : answer
    }

    /// The content of the last `\boxed`; `nil` where that is not followed by `{`, or not closed.
    static func lastBoxed(in text: String) -> String? {
        let bytes = Array(text.utf8)
        let command = Array("\\boxed".utf8)
        guard let start = AnswerText.lastOccurrence(of: command, in: bytes) else { return nil }
        let open = start + command.count
        guard open < bytes.count, bytes[open] == UInt8(ascii: "{") else { return nil }
        var depth = 0
        for index in open..<bytes.count {
            if bytes[index] == UInt8(ascii: "{") { depth += 1 }
            if bytes[index] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return String(decoding: bytes[(open + 1)..<index], as: UTF8.self) }
        }
        return nil
    }

    static func behindHashes(in text: String) -> String? {
        let bytes = Array(text.utf8)
        let mark = Array("#### ".utf8)
        guard let start = AnswerText.lastOccurrence(of: mark, in: bytes) else { return nil }
        return String(decoding: bytes[(start + mark.count)...].prefix { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
    }
}
