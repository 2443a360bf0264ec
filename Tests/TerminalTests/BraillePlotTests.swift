import Terminal
import Testing

@Suite struct BraillePlotTests {
    private func lines(_ series: [BraillePlot.Series], columns: Int = 24, rows: Int = 6) -> [String] {
        BraillePlot(series, columns: columns, rows: rows).lines().map { $0.text(coloured: false) }
    }

    @Test func aFallingLineRunsFromTheTopLeftToTheBottomRight() {
        let lines = lines([.init(name: "train/loss", points: [(0, 4), (100, 1)])])
        #expect(
            lines == [
                "4 │⠉⠒⠒⠤⠤⣀⣀              ",
                "  │       ⠉⠑⠒⠢⠤⢄⣀       ",
                "1 │              ⠉⠉⠒⠒⠤⠤⣀",
                "  └─────────────────────",
                "   0                 100",
                "   ■ train/loss 1 ",
            ])
    }

    @Test func everyLineFitsTheWidth() {
        let points = (0..<500).map { (x: Double($0), y: Double(($0 * 7919) % 101) / 10) }
        let styled = BraillePlot([.init(name: String(repeating: "k", count: 90), points: points, style: .cyan)], columns: 60, rows: 12)
            .lines()
        #expect(styled.count == 12)
        #expect(styled.allSatisfy { $0.width <= 60 })
    }

    @Test func pointsThatAreNotFiniteLeaveAGap() {
        let lines = lines([.init(name: "a", points: [(0, 1), (1, .nan), (2, 1), (3, .infinity)])])
        #expect(lines.count == 6)
        #expect(self.lines([.init(name: "a", points: [(0, .nan)])]) == ["no finite values yet"])
        #expect(self.lines([]) == ["no finite values yet"])
    }

    @Test func aConstantCurveAndExtremeValuesAreDrawn() {
        #expect(lines([.init(name: "a", points: [(5, 2)])]).count == 6)
        #expect(lines([.init(name: "a", points: [(0, -Double.greatestFiniteMagnitude), (1, Double.greatestFiniteMagnitude)])]).count == 6)
    }

    @Test func severalCurvesShareTheAxesAndKeepTheirStyles() {
        let lines = BraillePlot(
            [
                .init(name: "train", points: [(0, 0), (10, 0)], style: .cyan),
                .init(name: "val", points: [(0, 8), (10, 8)], style: .yellow),
            ],
            columns: 24, rows: 6
        ).lines()
        #expect(lines[0].text(coloured: true).contains("\u{1B}[33m⠉"))
        #expect(lines[2].text(coloured: true).contains("\u{1B}[36m⣀"))
        #expect(lines[5].text(coloured: false).contains("■ train 0  ■ val 8"))
    }

    @Test func onALogarithmicAxisEqualFactorsAreEquallyFarApart() {
        let points = [(x: 0.0, y: 1000.0), (x: 1, y: 100), (x: 2, y: 10), (x: 3, y: 1)]
        let logarithmic = BraillePlot(
            [.init(name: "a", points: points)], columns: 24, rows: 11, axes: .init(isLogarithmic: true, showsLegend: false)
        ).lines().map { $0.text(coloured: false) }
        let straight = BraillePlot(
            [.init(name: "a", points: points.map { ($0.x, 3 - $0.x) })], columns: 24, rows: 11, axes: .init(showsLegend: false)
        ).lines().map { $0.text(coloured: false) }
        #expect(logarithmic.count == 11)
        #expect(logarithmic[0].hasPrefix("1000 │") && logarithmic[8].hasPrefix("   1 │"))
        // Where labels are of different widths the canvases are too; the shape is compared by its ends.
        #expect(straight[0].contains("⠢") == logarithmic[0].contains("⠢") && straight[8].hasSuffix("⢄") == logarithmic[8].hasSuffix("⢄"))
        #expect(logarithmic[4].prefix(5).contains { $0.isNumber })
    }

    @Test func aLogarithmicAxisLeavesOutWhatIsNotAboveZero() {
        let axes = BraillePlot.Axes(isLogarithmic: true)
        let none = BraillePlot([.init(name: "a", points: [(0, 0), (1, -1)])], columns: 24, rows: 6, axes: axes).lines()
        #expect(none.map { $0.text(coloured: false) } == ["no values above zero, which a logarithmic axis needs"])
        let some = BraillePlot([.init(name: "a", points: [(0, 0), (1, 5), (2, 5)])], columns: 24, rows: 6, axes: axes).lines()
        #expect(some.count == 6)
    }

    @Test func theXAxisIsLabelledAsTheCallerWants() {
        let axes = BraillePlot.Axes(xText: { SpanText.exact(seconds: $0) }, showsLegend: false)
        let lines = BraillePlot([.init(name: "a", points: [(0, 1), (7200, 2)])], columns: 40, rows: 6, axes: axes).lines()
        #expect(lines.last?.text(coloured: false).hasSuffix("2h 00m") == true)
    }
}
