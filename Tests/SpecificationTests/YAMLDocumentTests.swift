import JSON
import Testing

@testable import Specification

@Suite struct YAMLDocumentTests {
    private static let scalars: [(String, JSONValue)] = [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("true", true), ("False", false), ("TRUE", true),
        ("tRUE", "tRUE"), ("null", nil), ("~", nil), ("Null", nil), ("nUll", "nUll"), ("12:30:45", "12:30:45"),
        ("2001-12-14", "2001-12-14"),
        ("3.0e-6", 3.0e-6), ("3e-6", 3e-6), ("1e5", 1e5), ("1_000", "1_000"), ("0x1F", 31), ("0o17", 15), ("0x", "0x"), ("0x-1", "0x-1"),
        ("017", 17),
        ("0b11", "0b11"), ("+5", 5), ("-5", -5), ("+", "+"), (".5", 0.5), ("5.", 5.0), (".", "."), ("-.5", -0.5), ("1.2.3", "1.2.3"),
        ("1e", "1e"), ("e5", "e5"), ("9223372036854775807", 9_223_372_036_854_775_807),
        ("9223372036854775808", .bigInteger("9223372036854775808")), ("\"5\"", "5"), ("'true'", "true"), ("|\n  5", "5"), ("<<", "<<"),
        ("=", "="),
    ]

    private func value(_ text: String) throws -> JSONValue { try SpecDocument.parse(Array(text.utf8), format: .yaml).get().value }

    private func failure(_ text: String, format: SpecDocument.Format = .yaml) -> SpecError? {
        switch SpecDocument.parse(Array(text.utf8), format: format) {
        case .success: nil
        case .failure(let errors): errors.errors.first
        }
    }

    @Test(arguments: Self.scalars)
    func plainScalarsFollowTheCoreSchema(_ text: String, _ expected: JSONValue) throws {
        #expect(try value("key: \(text)") == .object(["key": expected]))
    }

    @Test func infinitiesAndNaNAreRead() throws {
        #expect(try value("a: .inf\nb: -.Inf\nc: +.INF") == ["a": .double(.infinity), "b": .double(-.infinity), "c": .double(.infinity)])
        #expect(try value("a: .nan")["a"]?.double?.isNaN == true)
        #expect(try value("a: -.nan") == ["a": "-.nan"])
    }

    @Test func anEmptyValueIsNull() throws {
        #expect(try value("a:\nb: ''") == ["a": nil, "b": ""])
    }

    @Test func aliasesAreExpanded() throws {
        let text = "base: &base {x: 1, y: [2]}\nother: *base\nlist: [*base, &two 2, *two]\n"
        #expect(try value(text) == ["base": ["x": 1, "y": [2]], "other": ["x": 1, "y": [2]], "list": [["x": 1, "y": [2]], 2, 2]])
    }

    @Test func textThatLooksLikeAnAliasStaysText() throws {
        let text = "a: &x 1\nb: *x\nc: \"say *x and &x: yes\"\nd: |\n  *x: [\n    &x }\ne: 2 *x\n"
        #expect(try value(text) == ["a": 1, "b": 1, "c": "say *x and &x: yes", "d": "*x: [\n  &x }\n", "e": "2 *x"])
    }

    @Test func billionLaughsAreRefused() {
        var text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
        for level in 1...9 {
            text += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ") + "]\n"
        }
        #expect(failure(text)?.code == .tooLarge)
    }

    @Test(arguments: [
        "? *a30 : x", "{*a30 : x}", "{*a30: x}", "*a30 : x", "? [*a30]\n: x", "{[*a30]: x}", "k: [{? *a30}]", "? - *a30\n: x",
    ])
    func aKeyMadeOfAliasesIsRefusedBeforeItIsHashed(_ key: String) {
        // Hashing such a key would take 2^30 steps.
        var text = "- &a0 [x, x]\n"
        for level in 1...30 { text += "- &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        text += "- " + key.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n  ") + "\n"
        #expect(failure(text)?.code == .syntax)
    }

    @Test func anUndefinedAliasIsRefused() {
        #expect(failure("a: *nothing\n")?.detail.contains("undefined alias") == true)
        #expect(failure("b: &b 1\na: *nothing\n")?.line == 2)
    }

    @Test func repeatedKeysAreRefusedWithTheirLine() {
        let error = failure("name: a\njobs:\n  x: {}\n  x: {}\n")
        #expect(error?.code == .duplicateKey)
        #expect(error?.detail.contains("'x'") == true)
        #expect(error?.line == 3 || error?.line == 4)
        #expect(failure("{\"1\": a, 1: b}")?.code == .duplicateKey)
    }

    @Test(
        arguments: [
            ("a: 1\n---\nb: 2\n", "second YAML document", 2), ("a: !!str 5\n", "tags", 1), ("a: !mine {}\n", "tags", 1),
            ("a: ! x\n", "tags", 1),
            ("a: 1\n\tb: 2\n", "tab", 2), ("a:\n\t- 1\n", "tab", 2), ("a: 1\n? [x]\n: 2\n", "plain string", 2),
            ("a:\n  <<: {x: 1}\n", "merge keys", 2),
            ("a: [1, 2\n", "not valid YAML", 2), ("a: 'x\n", "not valid YAML", 2), ("a: b: c\n", "not valid YAML", 1),
            ("%YAML 9.9\n---\na: 1", "not valid YAML", 1),
        ] as [(String, String, Int)])
    func brokenYAMLIsRefusedWithItsLine(_ text: String, _ words: String, _ line: Int) {
        let error = failure(text)
        #expect(error?.detail.contains(words) == true, "\(String(describing: error))")
        #expect(error?.line == line, "\(String(describing: error))")
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "5", "- a\n- b\n", "null", "just text"])
    func aDocumentThatIsNoMappingIsRefused(_ text: String) {
        #expect(failure(text, format: .auto) != nil)
    }

    @Test func textThatIsNotUTF8IsRefused() {
        guard case .failure(let errors) = SpecDocument.parse([0x61, 0x3A, 0x20, 0xFF]) else { Issue.record("accepted"); return }
        #expect(errors.errors.first?.detail.contains("UTF-8") == true)
    }

    @Test func controlCharactersAreRefusedWithTheirLine() {
        let error = failure("a: 1\nb: \u{1}\n")
        #expect(error?.code == .syntax)
        #expect(error?.line == 2)
    }

    @Test func aByteOrderMarkIsPassedOver() throws {
        #expect(try SpecDocument.parse([0xEF, 0xBB, 0xBF] + Array("a: 1".utf8)).get().value == ["a": 1])
        #expect(try SpecDocument.parse([0xEF, 0xBB, 0xBF] + Array("{\"a\": 1}".utf8)).get().value == ["a": 1])
    }

    @Test func nestingIsBounded() {
        let most = String(repeating: "[", count: SpecLimits.depthMax) + String(repeating: "]", count: SpecLimits.depthMax)
        #expect(failure("a: \(most)") == nil)
        #expect(failure("a: [\(most)]")?.code == .tooLarge)
        let enormous = String(repeating: "[", count: 500_000)
        #expect(failure(enormous) != nil)
        #expect(failure("&a \(enormous) *a") != nil)
    }

    @Test func stringsAreBounded() {
        #expect(failure("a: " + String(repeating: "x", count: SpecLimits.stringBytesMax)) == nil)
        #expect(failure("a: " + String(repeating: "x", count: SpecLimits.stringBytesMax + 1))?.code == .tooLarge)
    }

    @Test func documentsAreBounded() {
        let text = "a: 1\n#" + String(repeating: "x", count: SpecLimits.documentBytesMax - 6)
        #expect(text.utf8.count == SpecLimits.documentBytesMax)
        #expect(failure(text) == nil)
        #expect(failure(text + "x")?.code == .tooLarge)
    }

    @Test func randomDamageNeverCrashesTheReader() throws {
        let text = Array("name: x\njobs: {a: &q [1, 2.5, *q], b: 'c', \"d\": |\n  e\n}\n? k\n: !t v\n--- \n".utf8)
        var random = SplitMix64(seed: 7)
        for _ in 0..<2000 {
            var damaged = text
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                damaged[Int.random(in: damaged.indices, using: &random)] =
                    "\t\n -:?&*!|>'\"%@`{}[],#ax0\u{1}".utf8.randomElement(using: &random) ?? 0
            }
            if case .failure(let errors) = SpecDocument.parse(damaged) { #expect(!errors.errors.isEmpty) }
        }
    }
}

/// A small seeded generator (Steele, Lea, Flood: SplitMix), so that a failing test can be repeated.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
