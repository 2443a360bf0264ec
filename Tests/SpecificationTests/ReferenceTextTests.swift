import Testing

@testable import Specification

@Suite struct ReferenceTextTests {
    @Test func referencesAreFound() throws {
        let text = try ReferenceText("--data ${data.train} ${ sft.checkpoint.best }/x")
        #expect(text.references.map(\.raw) == ["data.train", "sft.checkpoint.best"])
        #expect(text.references.map(\.path) == ["train", "checkpoint.best"])
        #expect(text.whole == nil)
        #expect(text.substituting { "<\($0.raw)>" } == "--data <data.train> <sft.checkpoint.best>/x")
    }

    @Test func aWholeReferenceIsKnown() throws {
        #expect(try ReferenceText("${a.b}").whole == ReferenceText.Token(name: "a", path: "b"))
        #expect(try ReferenceText("x").whole == nil)
        #expect(try ReferenceText("").parts.isEmpty)
    }

    @Test(
        arguments: [
            ("$${HOME}", "${HOME}"), ("$$${a.b}", "$${a.b}"), ("$$", "$$"), ("$", "$"), ("{a.b}", "{a.b}"), ("$a", "$a"), ("x$${", "x${"),
            ("$$$", "$$$"),
        ] as [(String, String)])
    func escapesAndOtherDollarsAreText(_ text: String, _ expected: String) throws {
        let parsed = try ReferenceText(text)
        #expect(parsed.references.isEmpty)
        #expect(parsed.substituting { _ in "?" } == expected)
    }

    @Test(arguments: ["a${b.c}d", "$${x}${b.c}", "x$$${y}", "é${b.c}ü", ""])
    func itsTextIsReadBackTheSame(_ text: String) throws {
        let parsed = try ReferenceText(text)
        #expect(try ReferenceText(parsed.written) == parsed)
    }

    @Test(arguments: ["${", "${a.b", "${}", "${a}", "${a.}", "${.b}", "${a b.c}", "${HOME}", "${a:-b.c}", "${a.b ${c.d}}"])
    func brokenReferencesAreRefused(_ text: String) {
        #expect(throws: ReferenceText.Problem.self) { try ReferenceText(text) }
    }
}

@Suite struct SpellingTests {
    @Test(
        arguments: [
            ("epoch", "epochs"), ("epohcs", "epochs"), ("lerning_rate", "learning_rate"), ("Learning-Rate", "learning_rate"),
            ("batchsize", nil), ("x", nil), ("", nil),
        ] as [(String, String?)])
    func theNearestWordIsFound(_ word: String, _ expected: String?) {
        #expect(Spelling.nearest(to: word, among: ["epochs", "learning_rate", "global_batch_size"]) == expected)
    }
}
