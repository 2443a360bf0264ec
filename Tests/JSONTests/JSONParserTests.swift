import JSON
import Testing

@Suite struct JSONParserTests {
    private static let grammar: [(String, JSONValue)] = [
        ("null", nil), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("-1", -1), ("1.5", 1.5), ("-0.0", -0.0), ("1e2", 100.0),
        ("1E+2", 100.0), ("1e-2", 0.01), ("0e0", 0.0),
        ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
        ("9223372036854775808", .bigInteger("9223372036854775808")), ("[]", []), ("{}", [:]), ("[ ]", []), ("{ }", [:]),
        ("[1,[2,{}]]", [1, [2, [:]]]), ("{\"a\":{\"b\":[null]}}", ["a": ["b": [nil]]]), ("\t\r\n [1 , 2 ] \n", [1, 2]), ("\"\"", ""),
        ("\"ü€😀\"", "ü€😀"), ("\"\u{7F}\"", "\u{7F}"), ("\"\u{2028}\"", "\u{2028}"),
        (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u20AC\ud83d\ude00\u0000""#, "Aé€😀\0"),
        ("5e-324", .double(.leastNonzeroMagnitude)), ("1.7976931348623157e308", .double(.greatestFiniteMagnitude)),
        ("0.1000000000000000055511151231257827", 0.1), ("1e-400", 0.0),
    ]

    private static func python() -> JSONParser.Options { .python }

    @Test(arguments: Self.grammar)
    func everyFormOfTheGrammarIsRead(_ text: String, _ expected: JSONValue) throws {
        #expect(try JSONParser.parse(text) == expected)
    }

    /// The invalid texts of JSONTestSuite (Nicolas Seriot, "Parsing JSON is a Minefield"), in short.
    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "tru", "undefined", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[", "]", "[1", "[1,", "{", "}", "{\"a\"",
        "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{1:1}",
        "{'a':1}", "{\"a\":1 \"b\":2}", "{,}", "[1}", "{\"a\":1]", "1 2", "[]]", "[] x", "01", "-01", "+1", "-", "--1", ".5", "-.5", "1.",
        "1.e5", "1e", "1e+", "1e1.5", "0x1", "1_0", "1,000", "1a", "Infinity", "NaN",
        "-Infinity", "-NaN", "\"", "\"a", "'a'", "\"\\", "\"\\\"", "\"\\x41\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\u\"", "\"\\a\"",
        "\"a\nb\"", "\"a\tb\"", "\"\0\"", "[\"a\":1]", "{\"a\":}", "{\"a\"::1}", "//x\n1", "/* */1",
        "1//", "[1;2]", "\u{FEFF}1", "\u{A0}1", "１",
    ])
    func everythingElseIsRefused(_ text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text) }
    }

    @Test func aNumberTooLargeForADoubleIsRefusedOrInfiniteButNeverACrash() {
        let value = try? JSONParser.parse("1e400")  // Swift's Double reads it as infinity; both are allowed by RFC 8259 section 6.
        #expect(value == nil || value == .double(.infinity))
    }

    @Test(arguments: [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), ("[NaN, -Infinity]", "list")] as [(String, String)])
    func pythonsNumbersAreReadWhereAllowed(_ text: String, _ expected: String) throws {
        let value = try JSONParser.parse(text, options: .python)
        switch expected {
        case "nan": #expect(value.double?.isNaN == true)
        case "inf": #expect(value == .double(.infinity))
        case "-inf": #expect(value == .double(-.infinity))
        default: #expect(value[0]?.double?.isNaN == true && value[1] == .double(-.infinity))
        }
    }

    @Test(arguments: ["nan", "Inf", "-NaN", "+Infinity", "Infinit", "-Inf", "NaNs"])
    func othersAreRefusedInPythonsModeToo(_ text: String) {
        #expect(throws: JSONError.self) { try JSONParser.parse(text, options: .python) }
    }

    @Test func keysKeepTheirOrderAndTheLastOfARepeatedOneWins() throws {
        let value = try JSONParser.parse(#"{"b":1,"a":2,"b":3}"#)
        #expect(value.object.map { Array($0.keys) } == ["b", "a"])
        #expect(value["b"] == 3)
        var options = JSONParser.Options()
        options.rejectsDuplicateKeys = true
        do {
            _ = try JSONParser.parse(#"{"b":1,"a":2,"b":3}"#, options: options)
            Issue.record("accepted")
        } catch {
            #expect(error.offset == 13 && error.message == "the key 'b' stands twice" && !error.isTruncation)
        }
        #expect(try JSONParser.parse(#"{"b":{"b":1},"a":{"b":2}}"#, options: options)["a"] == ["b": 2])
        // Escapes are undone before keys are compared.
        #expect(throws: JSONError.self) { try JSONParser.parse(#"{"a":1,"\u0061":2}"#, options: options) }
    }

    @Test func nestingIsBounded() throws {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        let options = JSONParser.Options()
        #expect(throws: Never.self) { try JSONParser.parse(nested(options.depthMax)) }
        #expect(throws: Never.self) { try JSONParser.parse("[\(nested(options.depthMax - 1))]") }
        #expect(throws: JSONError.self) { try JSONParser.parse("[" + nested(options.depthMax + 1) + "]") }
        #expect(throws: JSONError.self) { try JSONParser.parse(String(repeating: "[", count: 1_000_000)) }
        #expect(throws: JSONError.self) { try JSONParser.parse(String(repeating: "{\"a\":", count: 1_000_000)) }
    }

    @Test(
        arguments: [
            ([0x22, 0xFF, 0x22] as [UInt8], "\u{FFFD}"), ([0x22, 0xC3, 0x22], "\u{FFFD}"), ([0x22, 0xC0, 0x80, 0x22], "\u{FFFD}\u{FFFD}"),
            ([0x22, 0xED, 0xA0, 0x80, 0x22], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), ([0x22, 0x5C, 0x6E, 0xFF, 0x22], "\n\u{FFFD}"),
        ] as [([UInt8], String)])
    func badUTF8IsRefusedOrReplaced(_ bytes: [UInt8], _ repaired: String) throws {
        #expect(throws: JSONError.self) { try JSONParser.parse(bytes) }
        #expect(try JSONParser.parse(bytes, options: .python) == .string(repaired))
    }

    @Test(arguments: [#""\ud800""#, #""\udc00""#, #""\ud800x""#, #""\ud800\u0041""#, #""\ud800\n""#, #""\ud800\ud800""#])
    func aLoneSurrogateBecomesTheReplacementCharacter(_ text: String) throws {
        #expect(try JSONParser.parse(text).string?.hasPrefix("\u{FFFD}") == true)
    }

    @Test func whatFollowsALoneSurrogateIsKept() throws {
        #expect(try JSONParser.parse(#""\ud800\u0041""#) == "\u{FFFD}A")
        #expect(try JSONParser.parse(#""\ud800\ud83d\ude00""#) == "\u{FFFD}😀")
    }

    @Test(
        arguments: [
            ("[1, x]", 4, false), ("[1", 2, true), ("{\"a\": \"b", 8, true), ("tru", 3, true), ("", 0, true), ("[1] 2", 4, false),
            ("\"\\u00", 5, true), ("\"\u{1}\"", 1, false),
        ] as [(String, Int, Bool)])
    func theErrorTellsWhereAndWhetherMoreTextMightHelp(_ text: String, _ offset: Int, _ isTruncation: Bool) {
        do {
            _ = try JSONParser.parse(text)
            Issue.record("accepted")
        } catch {
            #expect(error.offset == offset)
            #expect(error.isTruncation == isTruncation)
        }
    }

    @Test func everyPrefixOfADocumentIsTruncationOrAValue() throws {
        let text = Array(#"{"a": [1.5e3, -2, true, null, "x\u00e9\ud83d\ude00\n"], "b": {"c": {}}}"#.utf8)
        for count in 0..<text.count {
            do {
                _ = try JSONParser.parse(text.prefix(count))
                Issue.record("accepted \(count) bytes")
            } catch {
                #expect(error.isTruncation, "\(String(decoding: text.prefix(count), as: UTF8.self)): \(error)")
            }
        }
    }

    @Test func oneValueIsReadOutOfALongerText() throws {
        let text = Array("xx[1, 2]{\"a\":1}7 8".utf8)
        func read(at offset: Int) throws -> (value: JSONValue, end: Int) {
            try text.withUnsafeBufferPointer { try JSONParser().value(in: $0, at: offset) }
        }
        var found = try read(at: 2)
        #expect(found.value == [1, 2] && found.end == 8)
        found = try read(at: 8)
        #expect(found.value == ["a": 1] && found.end == 15)
        found = try read(at: 15)
        #expect(found.value == 7 && found.end == 16)
        #expect(throws: JSONError.self) { try read(at: 0) }
        #expect(throws: JSONError.self) { try read(at: text.count) }
    }

    @Test func bytesOfAnySequenceAreRead() throws {
        #expect(try JSONParser.parse("[1]".utf8.lazy.map { $0 }) == [1])
        #expect(try JSONParser.parse(ArraySlice(Array("xx[1]".utf8).dropFirst(2))) == [1])
    }

    @Test func randomDamageNeverCrashesTheParser() {
        let text = Array(#"{"a": [1.5e3, -2, true, null, "x\u00e9\ud83d"], "b": {"c": NaN}}"#.utf8)
        var state: UInt64 = 11
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<20_000 {
            var damaged = text
            for _ in 0...random(3) { damaged[random(damaged.count)] = UInt8(random(256)) }
            for options in [JSONParser.Options(), Self.python()] {
                guard let value = try? JSONParser.parse(damaged, options: options) else { continue }  // Most are refused.
                let again = try? JSONParser.parse(JSONWriter(layout: .python).bytes(of: value), options: options)
                #expect(again?.description == value.description)
            }
        }
    }
}
