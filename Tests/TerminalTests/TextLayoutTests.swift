import Terminal
import Testing

@Suite struct TextLayoutTests {
    @Test(arguments: [
        ("abc", 3), ("日本語", 6), ("ｶﾅ", 2), ("é", 1), ("e\u{301}", 1), ("👍", 2), ("🇯🇵", 2), ("👩‍👩‍👧", 2), ("⣿│", 2), ("✓ ok", 4), ("한글", 4),
        ("", 0), ("Ａ", 2),
    ]) func displayWidthCountsColumns(text: String, width: Int) {
        #expect(text.displayWidth == width)
    }

    @Test func controlCharactersCannotReachTheTerminal() {
        #expect(StyledText("a\u{1B}[31mb\nc\u{9B}d\r\n").text(coloured: true) == "a [31mb c d  ")
    }

    @Test func truncationKeepsStylesAndNeverSplitsAWideCharacter() {
        let text = StyledText("日本", .red) + "語です"
        #expect(text.truncated(to: 10) == text)
        #expect(text.truncated(to: 6).text(coloured: false) == "日本…")
        #expect(text.truncated(to: 4).text(coloured: true) == "\u{1B}[31m日\u{1B}[0m…")
        #expect(text.truncated(to: 1).text(coloured: false) == "…")
        #expect(text.truncated(to: 0).width == 0)
    }

    @Test func longTextIsWrappedAtSpacesAndLongWordsAreCut() {
        func wrapped(_ text: StyledText, _ columns: Int) -> [String] { text.wrapped(to: columns).map { $0.text(coloured: true) } }
        #expect(wrapped("short", 10) == ["short"])
        #expect(wrapped("one two three", 8) == ["one two ", "three"])
        #expect(wrapped("abcdefghij", 4) == ["abcd", "efgh", "ij"])
        #expect(wrapped(StyledText("red ", .red) + "日本語です", 6) == ["\u{1B}[31mred \u{1B}[0m", "日本語", "です"])
        #expect(StyledText("any").wrapped(to: 0) == ["any"])
    }

    @Test func aStyleCanTakeThePlaceOfAll() {
        let text = StyledText("a", .red) + "b"
        #expect(text.restyled(.reverse).text(coloured: true) == "\u{1B}[7mab\u{1B}[0m")
    }

    @Test func columnsLineUpByDisplayWidth() {
        let table = Table(
            [.init("NAME"), .init("ROWS", .right), .init("STATE")],
            rows: [["問題集", "12", "ready"], ["toy", "8000", StyledText("gone", .red)]])
        #expect(table.lines().map { $0.text(coloured: false) } == ["NAME    ROWS  STATE", "問題集    12  ready", "toy     8000  gone"])
    }

    @Test func aTableShrinksItsElasticColumnsAndThenCutsLines() {
        let long = String(repeating: "m", count: 60)
        let table = Table([.init("ID"), .init("MESSAGE", elastic: true)], rows: [["job_1", StyledText(long)]])
        let lines = table.lines(width: 30).map { $0.text(coloured: false) }
        #expect(lines[1] == "job_1  " + String(repeating: "m", count: 22) + "…")
        #expect(table.lines(width: 6).allSatisfy { $0.width <= 6 })
        #expect(table.lines()[1].width == 67)
    }

    @Test func coloursStandOnlyWhereTheyAreWanted() {
        let text = StyledText("ok", .green) + " plain"
        #expect(text.text(coloured: true) == "\u{1B}[32mok\u{1B}[0m plain")
        #expect(text.text(coloured: false) == "ok plain")
    }

    @Test func aTreeShowsItsBranches() {
        let tree = TreeText("evaluation", children: [TreeText("model", children: [TreeText("data"), TreeText("base")]), TreeText("spec")])
        #expect(
            tree.lines().map { $0.text(coloured: false) } == ["evaluation", "├─ model", "│  ├─ data", "│  └─ base", "└─ spec"])
    }
}

@Suite struct NumberTextTests {
    @Test(arguments: [
        (0.81254, "0.8125"), (12, "12"), (3e-6, "3e-06"), (0, "0"), (-1234567, "-1234567"), (85290.4, "85290"), (1e12, "1e+12"),
        (.nan, "NaN"), (.infinity, "∞"),
    ])
    func significantDigits(value: Double, text: String) {
        #expect(NumberText.significant(value) == text)
    }

    @Test(arguments: [
        (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 << 20, "10 MiB"), (85_520_809_984, "80 GiB"), (Int64.max, "8192 PiB"),
    ])
    func byteSizes(count: Int64, text: String) {
        #expect(NumberText.bytes(count) == text)
    }

    @Test(arguments: [
        (0.04, "0.0s"), (9.94, "9.9s"), (12.4, "12s"), (59.6, "1m 00s"), (184, "3m 04s"), (7500, "2h 05m"), (100 * 3600, "4d 04h"),
        (-1, "–"), (.nan, "–"),
        (.infinity, "–"),
    ]) func spans(seconds: Double, text: String) {
        #expect(SpanText.exact(seconds: seconds) == text)
    }

    @Test(arguments: [(0.2, "now"), (-30, "now"), (59, "59s ago"), (185, "3m ago"), (90_000, "1d ago"), (-7200, "in 2h")])
    func ages(seconds: Double, text: String) {
        #expect(SpanText.ago(seconds: seconds) == text)
    }

    @Test func aProgressBarFillsExactlyItsWidth() {
        #expect(ProgressBar.text(fraction: 0, width: 4) == "░░░░")
        #expect(ProgressBar.text(fraction: 0.5, width: 4) == "██░░")
        #expect(ProgressBar.text(fraction: 0.14, width: 4) == "▌░░░")
        #expect(ProgressBar.text(fraction: 1, width: 4) == "████")
        #expect(ProgressBar.text(fraction: 7, width: 4) == "████")
        #expect(ProgressBar.text(fraction: .nan, width: 2) == "░░")
    }
}
