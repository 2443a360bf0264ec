/// How a piece of text is shown on a terminal.
public enum TextStyle: String, Sendable {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
    case blue = "34"
    case magenta = "35"
    case cyan = "36"
    case reverse = "7"
}

/// Text in pieces with styles, whose width in columns is known apart from the escape sequences that show the styles.
public struct StyledText: Sendable, Equatable, ExpressibleByStringInterpolation {
    /// A piece of text in one style.
    public struct Piece: Sendable, Equatable {
        public var text: String
        public var style: TextStyle?
    }

    public private(set) var pieces: [Piece]

    /// Control characters in `text` become spaces.
    public init(_ text: String, _ style: TextStyle? = nil) { pieces = [Piece(text: text.withoutControls, style: style)] }
    public init(stringLiteral text: String) { self.init(text) }

    public static func + (left: StyledText, right: StyledText) -> StyledText {
        var joined = left
        joined.pieces += right.pieces
        return joined
    }

    public static func += (left: inout StyledText, right: StyledText) { left.pieces += right.pieces }

    /// The terminal columns that the text takes.
    public var width: Int { pieces.reduce(0) { $0 + $1.text.displayWidth } }

    /// The text cut to `columns`, with an ellipsis where something was cut.
    public func truncated(to columns: Int) -> StyledText {
        guard width > columns else { return self }
        var result = StyledText("")
        var room = columns - 1
        guard room >= 0 else { return result }
        for piece in pieces {
            let kept = piece.text.prefix(columns: room)
            result.pieces.append(Piece(text: kept, style: piece.style))
            room -= kept.displayWidth
            if kept.utf8.count < piece.text.utf8.count { break }
        }
        result.pieces.append(Piece(text: "…", style: nil))
        return result
    }

    /// The text in lines of at most `columns`, broken at spaces where there are any.
    public func wrapped(to columns: Int) -> [StyledText] {
        guard width > columns, columns > 0 else { return [self] }
        var lines: [StyledText] = []
        var line = StyledText("")
        var used = 0
        for piece in pieces {
            for word in Self.words(piece.text) {
                if used > 0, used + word.displayWidth > columns {
                    lines.append(line)
                    line = StyledText("")
                    used = 0
                }
                var rest = word
                // A word that is longer than a line is cut.
                while rest.displayWidth > columns {
                    let head = rest.prefix(columns: columns)
                    guard !head.isEmpty else { break }
                    lines.append(StyledText(head, piece.style))
                    rest.removeFirst(head.count)
                }
                line.append(rest, piece.style)
                used += rest.displayWidth
            }
        }
        return line.width > 0 ? lines + [line] : lines
    }

    /// Words with the spaces after them.
    private static func words(_ text: String) -> [String] {
        var words: [String] = []
        for character in text {
            if let last = words.last?.last, !(last == " " && character != " ") {
                words[words.count - 1].append(character)
            } else {
                words.append(String(character))
            }
        }
        return words
    }

    private mutating func append(_ text: String, _ style: TextStyle?) {
        if let last = pieces.last, last.style == style {
            pieces[pieces.count - 1].text += text
        } else {
            pieces.append(Piece(text: text, style: style))
        }
    }

    /// The text with spaces added on one side up to `columns`.
    public func padded(to columns: Int, alignment: Alignment) -> StyledText {
        let missing = columns - width
        guard missing > 0 else { return self }
        let space = StyledText(String(repeating: " ", count: missing))
        return alignment == .left ? self + space : space + self
    }

    /// The same text, all of it in one style.
    public func restyled(_ style: TextStyle?) -> StyledText { StyledText(pieces.map(\.text).joined(), style) }

    /// The bytes for the terminal (ECMA-48 SGR sequences), or plain text where `coloured` is false.
    public func text(coloured: Bool) -> String {
        pieces.map { piece in
            guard coloured, let style = piece.style, !piece.text.isEmpty else { return piece.text }
            return "\u{1B}[\(style.rawValue)m\(piece.text)\u{1B}[0m"
        }.joined()
    }
}

/// The side at which text stands in its column.
public enum Alignment: Sendable {
    case left, right
}
