/// Lines at the bottom of a terminal that are drawn again and again in the same place.
public struct LiveRegion: Sendable {
    /// Widths of the lines on the screen, to know how far up the region begins.
    private var shown: [Int] = []

    public init() {}

    /// The bytes that replace the region by `lines` on a terminal of the given size.
    ///
    /// Where the lines are more than fit, the last ones are shown. Where the terminal has become narrower, the old lines have been
    /// wrapped, and count as the rows that they take now.
    public mutating func frame(_ lines: [StyledText], columns: Int, rows: Int, coloured: Bool) -> String {
        let columns = max(1, columns)
        // One row stays free for the cursor below the region.
        let visible = lines.suffix(max(1, rows - 1)).map { $0.truncated(to: columns) }
        var bytes = erasure(columns: columns, rows: rows)
        for line in visible { bytes += line.text(coloured: coloured) + "\u{1B}[K\n" }
        bytes += "\u{1B}[J"
        shown = visible.map(\.width)
        return bytes
    }

    /// The bytes that put the cursor at the region's beginning, so that what is written next stands in its place.
    private func erasure(columns: Int, rows: Int) -> String {
        let height = shown.reduce(0) { $0 + max(1, ($1 + columns - 1) / columns) }
        let up = min(height, max(0, rows - 1))
        return up > 0 ? "\r\u{1B}[\(up)A" : "\r"
    }

    /// The bytes that remove the region from the screen.
    public mutating func clear(columns: Int, rows: Int) -> String {
        defer { shown = [] }
        return erasure(columns: max(1, columns), rows: rows) + "\u{1B}[J"
    }
}
