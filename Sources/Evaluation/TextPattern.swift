/// A regular expression that a user wrote, known to be one.
///
/// Letters are matched by Unicode scalar, as other tools match them, and `.` takes no line end.
public struct TextPattern: Sendable, Equatable {
    /// Why a text is no regular expression.
    public struct SyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
    }

    public let source: String

    public init(_ source: String) throws(SyntaxError) {
        self.source = source
        do {
            _ = try Regex(source)
        } catch {
            throw SyntaxError(description: "'\(source)' is no regular expression: \(error)")
        }
    }

    /// What the last match in `text` found: its first group that took part, or all of it where it has no group.
    public func lastMatch(in text: String) -> String? {
        // `init` has seen that the text is an expression.
        guard let regex = try? Regex(source).matchingSemantics(.unicodeScalar), let match = text.matches(of: regex).last else { return nil }
        let groups = match.output.dropFirst()
        if groups.isEmpty { return String(text[match.range]) }
        return groups.lazy.compactMap(\.substring).first.map { String($0) }
    }
}
