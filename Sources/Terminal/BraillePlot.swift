import Glibc

/// Curves drawn with braille characters, two dots wide and four dots high in each cell, with axes and labels.
public struct BraillePlot: Sendable {
    /// One curve. Points that are not finite leave a gap.
    public struct Series: Sendable {
        public var name: String
        public var points: [(x: Double, y: Double)]
        public var style: TextStyle?

        public init(name: String, points: [(x: Double, y: Double)], style: TextStyle? = nil) {
            self.name = name
            self.points = points
            self.style = style
        }
    }

    /// What the axes stand for.
    public struct Axes: Sendable {
        /// True where equal factors of y are equally far apart; values that are not above zero leave a gap.
        public var isLogarithmic: Bool
        /// The text for a value of x.
        public var xText: @Sendable (Double) -> String
        /// False where the caller names the curves itself.
        public var showsLegend: Bool

        public init(
            isLogarithmic: Bool = false, xText: @escaping @Sendable (Double) -> String = { NumberText.significant($0, digits: 7) },
            showsLegend: Bool = true
        ) {
            self.isLogarithmic = isLogarithmic
            self.xText = xText
            self.showsLegend = showsLegend
        }
    }

    /// The smallest plot that is drawn, in columns and rows, labels included.
    public static let smallest = (columns: 20, rows: 4)
    /// Rows from one label of the y axis to the next.
    private static let labelEvery = 4

    private let series: [Series]
    /// The points of each curve as they lie on the axes.
    private let placed: [[(x: Double, y: Double)]]
    private let columns: Int
    private let rows: Int
    private let axes: Axes

    /// - Parameters:
    ///   - columns: The width of the whole plot with its labels.
    ///   - rows: The height of the whole plot: curves, axis, labels and legend.
    public init(_ series: [Series], columns: Int, rows: Int, axes: Axes = Axes()) {
        self.series = series
        self.columns = max(columns, Self.smallest.columns)
        self.rows = max(rows, Self.smallest.rows)
        self.axes = axes
        placed = series.map { curve in
            guard axes.isLogarithmic else { return curve.points }
            return curve.points.map { (x: $0.x, y: $0.y > 0 ? log10($0.y) : .nan) }
        }
    }

    /// The lines of the plot, from the top.
    public func lines() -> [StyledText] {
        guard let x = range(\.x), let y = range(\.y) else {
            let hasFinite = series.contains { $0.points.contains { $0.y.isFinite } }
            return [StyledText(hasFinite ? "no values above zero, which a logarithmic axis needs" : "no finite values yet", .dim)]
        }
        let canvasRows = rows - (axes.showsLegend ? 3 : 2)
        let labels = yLabels(y, rows: canvasRows)
        let labelWidth = labels.values.reduce(0) { max($0, $1.displayWidth) }
        let canvasColumns = columns - labelWidth - 2
        var canvas = Canvas(columns: canvasColumns, rows: canvasRows)
        for (index, points) in placed.enumerated() { draw(points, number: index, x: x, y: y, on: &canvas) }

        var lines = canvas.lines(styles: series.map(\.style)).enumerated().map { index, line in
            StyledText(labels[index] ?? "", .dim).padded(to: labelWidth, alignment: .right) + StyledText(" │", .dim) + line
        }
        let indent = String(repeating: " ", count: labelWidth + 1)
        lines.append(StyledText(indent + "└" + String(repeating: "─", count: canvasColumns), .dim))
        let left = axes.xText(x.lowerBound)
        let right = axes.xText(x.upperBound)
        let space = max(1, canvasColumns - left.displayWidth - right.displayWidth)
        lines.append(StyledText(indent + " " + left + String(repeating: " ", count: space) + right, .dim))
        if axes.showsLegend { lines.append(legend(indent: indent)) }
        return lines.map { $0.truncated(to: columns) }
    }

    /// The labels of the y axis by row: the bounds at the ends, and between them what lies at the middle of a row.
    private func yLabels(_ y: ClosedRange<Double>, rows: Int) -> [Int: String] {
        func text(_ value: Double, digits: Int) -> String {
            NumberText.significant(axes.isLogarithmic ? pow(10, value) : value, digits: digits)
        }
        var labels: [Int: String] = [rows - 1: text(y.lowerBound, digits: 4)]
        labels[0] = text(y.upperBound, digits: 4)
        for row in stride(from: Self.labelEvery, to: rows - 2, by: Self.labelEvery) {
            let share = (Double(row) * 4 + 1.5) / Double(rows * 4 - 1)
            labels[row] = text(y.upperBound * (1 - share) + y.lowerBound * share, digits: 3)
        }
        return labels
    }

    private func legend(indent: String) -> StyledText {
        var legend = StyledText(indent)
        for curve in series {
            legend += StyledText(" ■ ", curve.style) + StyledText(curve.name)
            if let last = curve.points.last(where: { $0.y.isFinite }) { legend += StyledText(" \(NumberText.significant(last.y))", .bold) }
            legend += StyledText(" ")
        }
        return legend
    }

    /// The range of the finite points; widened where all are equal, so that it has an extent.
    private func range(_ coordinate: (_ point: (x: Double, y: Double)) -> Double) -> ClosedRange<Double>? {
        var low = Double.infinity
        var high = -Double.infinity
        for point in placed.joined() where point.x.isFinite && point.y.isFinite {
            low = min(low, coordinate(point))
            high = max(high, coordinate(point))
        }
        guard low <= high else { return nil }
        if low == high {
            // On a logarithmic axis the bounds are exponents, whose size says nothing.
            let margin = axes.isLogarithmic ? 0.01 : max(abs(low) * 0.01, 1e-9)
            return (low - margin)...(high + margin)
        }
        return low...high
    }

    private func draw(
        _ points: [(x: Double, y: Double)], number: Int, x: ClosedRange<Double>, y: ClosedRange<Double>, on canvas: inout Canvas
    ) {
        var previous: (column: Int, row: Int)?
        for point in points {
            guard point.x.isFinite, point.y.isFinite else { previous = nil; continue }
            // Halved before the subtraction, so that extreme values do not overflow to infinity.
            let acrossShare = (point.x / 2 - x.lowerBound / 2) / (x.upperBound / 2 - x.lowerBound / 2)
            let upShare = (point.y / 2 - y.lowerBound / 2) / (y.upperBound / 2 - y.lowerBound / 2)
            let dot = (
                column: Int((acrossShare * Double(canvas.dotColumns - 1)).rounded()),
                row: Int(((1 - upShare) * Double(canvas.dotRows - 1)).rounded())
            )
            canvas.line(from: previous ?? dot, to: dot, series: number)
            previous = dot
        }
    }
}

/// The grid of dots behind a plot.
private struct Canvas {
    private let columns: Int
    private let rows: Int
    private var dots: [UInt8]
    /// The series drawn last in each cell, which gives it its style.
    private var owners: [Int]

    init(columns: Int, rows: Int) {
        self.columns = max(1, columns)
        self.rows = max(1, rows)
        dots = [UInt8](repeating: 0, count: self.columns * self.rows)
        owners = [Int](repeating: 0, count: dots.count)
    }

    var dotColumns: Int { columns * 2 }
    var dotRows: Int { rows * 4 }

    /// Bits of the braille pattern by row and column of the dot (Unicode, block U+2800).
    private static let bits: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]

    private mutating func set(column: Int, row: Int, series: Int) {
        guard (0..<dotColumns).contains(column), (0..<dotRows).contains(row) else { return }
        let cell = row / 4 * columns + column / 2
        dots[cell] |= Self.bits[row % 4][column % 2]
        owners[cell] = series
    }

    /// Sets the dots of a straight line, by Bresenham's algorithm.
    mutating func line(from start: (column: Int, row: Int), to end: (column: Int, row: Int), series: Int) {
        let across = abs(end.column - start.column)
        let down = -abs(end.row - start.row)
        let columnStep = start.column < end.column ? 1 : -1
        let rowStep = start.row < end.row ? 1 : -1
        var error = across + down
        var (column, row) = start
        while true {
            set(column: column, row: row, series: series)
            if column == end.column, row == end.row { return }
            let doubled = 2 * error
            if doubled >= down { error += down; column += columnStep }
            if doubled <= across { error += across; row += rowStep }
        }
    }

    func lines(styles: [TextStyle?]) -> [StyledText] {
        (0..<rows).map { row in
            var line = StyledText("")
            var run = ""
            var runOwner: Int?
            for cell in (row * columns)..<((row + 1) * columns) {
                let owner = dots[cell] == 0 ? nil : owners[cell]
                if owner != runOwner, !run.isEmpty {
                    line += StyledText(run, runOwner.flatMap { styles[$0] })
                    run = ""
                }
                runOwner = owner
                run.unicodeScalars.append(dots[cell] == 0 ? " " : Unicode.Scalar(0x2800 + UInt16(dots[cell])) ?? " ")
            }
            return line + StyledText(run, runOwner.flatMap { styles[$0] })
        }
    }
}
