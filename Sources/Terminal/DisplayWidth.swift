extension String {
    /// The terminal columns that the text takes: two for each wide East Asian character or emoji, none for combining marks.
    public var displayWidth: Int {
        // Most text is plain ASCII without control characters, where a byte is a column.
        if utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return utf8.count }
        return reduce(0) { $0 + $1.displayWidth }
    }

    /// The text with control characters replaced by spaces, so that names and messages from elsewhere cannot steer the terminal.
    public var withoutControls: String {
        guard unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return self }
        var clean = UnicodeScalarView()
        for scalar in unicodeScalars { clean.append(scalar.properties.generalCategory == .control ? " " : scalar) }
        return String(clean)
    }

    /// The longest beginning that takes at most `width` columns.
    func prefix(columns width: Int) -> String {
        var used = 0
        var end = startIndex
        while end < endIndex {
            used += self[end].displayWidth
            if used > width { break }
            end = index(after: end)
        }
        return String(self[..<end])
    }
}

extension Character {
    /// The terminal columns that the character takes.
    var displayWidth: Int {
        guard let first = unicodeScalars.first else { return 0 }
        if first.isASCII { return first.value < 0x20 || first.value == 0x7F ? 0 : 1 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: break
        }
        // A text character followed by U+FE0F asks for its emoji form, which is wide.
        if first.isWide || unicodeScalars.contains("\u{FE0F}") { return 2 }
        return 1
    }
}

extension Unicode.Scalar {
    /// The ranges of Unicode's EastAsianWidth.txt that are Wide or Fullwidth, merged to blocks.
    private static let wideRanges: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF, 0xA960...0xA97F,
        0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF,
        0x1AFF0...0x1B2FF, 0x1F1E6...0x1F1FF, 0x20000...0x3FFFD,
    ]

    fileprivate var isWide: Bool {
        properties.isEmojiPresentation || Self.wideRanges.contains { $0.contains(value) }
    }
}
