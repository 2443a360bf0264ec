import Terminal
import Testing

@Suite struct KeyParserTests {
    private func keys(_ text: String) -> [Key] {
        var parser = KeyParser()
        return parser.keys(in: text.utf8) + parser.flush()
    }

    @Test func lettersAndControlsAreKeys() {
        #expect(keys("j?é日👍") == [.character("j"), .character("?"), .character("é"), .character("日"), .character("👍")])
        #expect(keys("\r\n\u{7F}\u{08}\u{0C}") == [.enter, .enter, .backspace, .backspace, .redraw])
    }

    @Test(arguments: [
        ("\u{1B}[A", Key.up), ("\u{1B}[B", .down), ("\u{1B}[C", .right), ("\u{1B}[D", .left), ("\u{1B}OA", .up), ("\u{1B}[H", .home),
        ("\u{1B}[F", .end), ("\u{1B}[5~", .pageUp), ("\u{1B}[6~", .pageDown), ("\u{1B}[1~", .home), ("\u{1B}[4~", .end),
        ("\u{1B}[1;5A", .up), ("\u{1B}[6;2~", .pageDown),
    ]) func sequencesAreKeysHoweverTheyAreCut(text: String, key: Key) {
        #expect(keys(text) == [key])
        var parser = KeyParser()
        #expect(text.utf8.flatMap { parser.keys(in: [$0]) } == [key])
    }

    @Test func aLoneEscapeIsAKeyOnceNothingFollows() {
        var parser = KeyParser()
        #expect(parser.keys(in: [0x1B]).isEmpty)
        #expect(parser.flush() == [.escape])
        #expect(parser.flush().isEmpty)
        #expect(keys("\u{1B}q") == [.escape, .character("q")])
    }

    @Test func whatIsNoKeyIsPassedOver() {
        #expect(keys("\u{1B}[15~a\u{01}b\u{1B}[<0;1;1Mc") == [.character("a"), .character("b"), .character("c")])
        var parser = KeyParser()
        #expect(parser.keys(in: [0xFF, 0xC3, 0x28, 0x80, UInt8(ascii: "z")]) == [.character("("), .character("z")])
        #expect(parser.keys(in: [0x1B, 0x5B] + [UInt8](repeating: 0x31, count: 64)).isEmpty)
        #expect(parser.keys(in: [UInt8(ascii: "k")]) == [.character("k")])
    }
}
