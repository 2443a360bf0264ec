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
}
