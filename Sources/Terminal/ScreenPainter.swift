/// Keeps a full screen up to date: only the rows that have changed are written, which matters over slow connections.
public struct ScreenPainter: Sendable {
    private var shown: [StyledText] = []
    private var size = (columns: 0, rows: 0)

    public init() {}

    /// Makes the next frame draw everything, after something else has written to the screen.
    public mutating func forget() { size = (0, 0) }

    /// The bytes that make the screen show `lines`, cut to its size; empty where it shows them already.
    public mutating func frame(_ lines: [StyledText], columns: Int, rows: Int, coloured: Bool) -> String {
        var bytes = ""
        if (columns, rows) != size {
            bytes = "\u{1B}[0m\u{1B}[2J"
            shown = []
            size = (columns, rows)
        }
        let visible = lines.prefix(rows).map { $0.truncated(to: columns) }
        for row in 0..<max(visible.count, shown.count) {
            let line = row < visible.count ? visible[row] : ""
            guard line != (row < shown.count ? shown[row] : "") else { continue }
            bytes += "\u{1B}[\(row + 1);1H" + line.text(coloured: coloured)
            // After a full row the cursor still stands on the last column, and erasing would take what is there.
            if line.width < columns { bytes += "\u{1B}[K" }
        }
        shown = visible
        return bytes
    }
}
