import Evaluation

/// Parts a model's reasoning from its answer.
public struct ReasoningSplit: Sendable {
    /// What ends the reasoning.
    public var endTag: String

    public init(endTag: String = "</think>") { self.endTag = endTag }

    /// The answer after the last end tag, trimmed; empty where the reasoning did not end.
    public func split(_ text: String) -> (answer: String, finishedThinking: Bool) {
        let bytes = Array(text.utf8)
        let tag = Array(endTag.utf8)
        guard !tag.isEmpty, bytes.count >= tag.count else { return ("", false) }
        for start in stride(from: bytes.count - tag.count, through: 0, by: -1)
        where bytes[start] == tag[0] && bytes[start..<(start + tag.count)].elementsEqual(tag) {
            return (AnswerText.trimmed(String(decoding: bytes[(start + tag.count)...], as: UTF8.self)), true)
        }
        return ("", false)
    }
}
