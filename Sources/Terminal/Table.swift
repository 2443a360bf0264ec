/// Rows in columns that line up by display width.
public struct Table: Sendable {
    /// A column's heading and behaviour.
    public struct Column: Sendable {
        public var title: String
        public var alignment: Alignment
        /// True where the column may be cut to make the table fit a terminal.
        public var isElastic: Bool

        public init(_ title: String, _ alignment: Alignment = .left, elastic: Bool = false) {
            self.title = title
            self.alignment = alignment
            isElastic = elastic
        }
    }

    /// Columns narrower than this are not cut.
    public static let elasticWidthMin = 8
    /// Columns between columns.
    private static let gap = 2

    public var columns: [Column]
    public var rows: [[StyledText]]

    public init(_ columns: [Column], rows: [[StyledText]] = []) {
        self.columns = columns
        self.rows = rows
    }

    /// The heading and the rows as lines; cut to `width` columns where one is given.
    public func lines(width: Int? = nil) -> [StyledText] {
        let widths = fitted(naturalWidths, into: width)
        var lines = [line(columns.map { StyledText($0.title, .bold) }, widths: widths)]
        lines += rows.map { line($0, widths: widths) }
        guard let width else { return lines }
        return lines.map { $0.truncated(to: width) }
    }

    private var naturalWidths: [Int] {
        columns.indices.map { index in
            rows.reduce(columns[index].title.displayWidth) { index < $1.count ? max($0, $1[index].width) : $0 }
        }
    }

    /// Takes from the widest elastic column, a cell at a time, until the line fits or nothing may be taken.
    private func fitted(_ widths: [Int], into width: Int?) -> [Int] {
        guard let width else { return widths }
        var widths = widths
        var excess = widths.reduce(0, +) + Self.gap * (widths.count - 1) - width
        while excess > 0 {
            let candidates = columns.indices.filter { columns[$0].isElastic && widths[$0] > Self.elasticWidthMin }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
            excess -= 1
        }
        return widths
    }

    private func line(_ cells: [StyledText], widths: [Int]) -> StyledText {
        var line = StyledText("")
        // Spaces are held back until something stands right of them, so that no line ends in spaces.
        var spaces = 0
        for (index, cell) in cells.enumerated() where index < widths.count {
            let cell = cell.truncated(to: widths[index])
            let missing = widths[index] - cell.width
            if columns[index].alignment == .right { spaces += missing }
            if cell.width > 0 {
                line += StyledText(String(repeating: " ", count: spaces)) + cell
                spaces = 0
            }
            spaces += Self.gap + (columns[index].alignment == .left ? missing : 0)
        }
        return line
    }
}
