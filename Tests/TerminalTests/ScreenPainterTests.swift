import Terminal
import Testing

@Suite struct ScreenPainterTests {
    @Test func onlyChangedRowsAreWritten() {
        var painter = ScreenPainter()
        let first = painter.frame(["one", "two", "three"], columns: 10, rows: 5, coloured: false)
        #expect(
            first
                == "\u{1B}[0m\u{1B}[2J\u{1B}[1;1Hone\u{1B}[K\u{1B}[2;1Htwo\u{1B}[K\u{1B}[3;1Hthree\u{1B}[K")
        #expect(painter.frame(["one", "two", "three"], columns: 10, rows: 5, coloured: false).isEmpty)
        #expect(painter.frame(["one", "2", "three"], columns: 10, rows: 5, coloured: false) == "\u{1B}[2;1H2\u{1B}[K")
        #expect(painter.frame(["one"], columns: 10, rows: 5, coloured: false) == "\u{1B}[2;1H\u{1B}[K\u{1B}[3;1H\u{1B}[K")
    }

    @Test func aNewSizeAndForgettingDrawEverything() {
        var painter = ScreenPainter()
        _ = painter.frame(["one", "two"], columns: 10, rows: 5, coloured: false)
        #expect(painter.frame(["one", "two"], columns: 9, rows: 5, coloured: false).hasPrefix("\u{1B}[0m\u{1B}[2J\u{1B}[1;1Hone"))
        painter.forget()
        #expect(painter.frame(["one", "two"], columns: 9, rows: 5, coloured: false).contains("two"))
    }

    @Test func linesAreCutToTheScreenAndAFullRowIsNotErased() {
        var painter = ScreenPainter()
        let frame = painter.frame(["123456", "abcde", "gone"], columns: 5, rows: 2, coloured: false)
        #expect(frame == "\u{1B}[0m\u{1B}[2J\u{1B}[1;1H1234…\u{1B}[2;1Habcde")
    }
}

@Suite struct RowSharesTests {
    @Test(arguments: [
        (10, [2, 3, 4], [2, 3, 4]), (8, [2, 9, 9], [2, 3, 3]), (2, [5, 5, 5], [1, 1, 0]), (0, [1], [0]), (5, [], []), (7, [0, 9], [0, 7]),
    ]) func smallPartsAreWholeAndLargeOnesShareTheRest(room: Int, wanted: [Int], shares: [Int]) {
        #expect(RowShares.divide(room, wanted: wanted) == shares)
    }

    @Test func theSelectedRowIsInTheWindow() {
        #expect(RowShares.windowStart(count: 5, height: 9, selected: 4) == 0)
        #expect(RowShares.windowStart(count: 20, height: 5, selected: nil) == 0)
        for selected in 0..<20 {
            let start = RowShares.windowStart(count: 20, height: 5, selected: selected)
            #expect((0...15).contains(start) && (start..<(start + 5)).contains(selected))
        }
    }
}
