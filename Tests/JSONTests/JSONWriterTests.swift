import JSON
import Testing

@Suite struct JSONWriterTests {
    private let sample: JSONValue = ["b": [1, -2.5, nil, true], "a": ["x": "é\"\\\n\u{1}/", "y": [:]], "c": []]

    @Test func theCompactLayoutHasNoWhiteSpace() {
        #expect(sample.description == #"{"b":[1,-2.5,null,true],"a":{"x":"é\"\\\n\u0001/","y":{}},"c":[]}"#)
    }

    @Test func pythonsLayoutIsThatOfJSONDumps() {
        #expect(sample.text(layout: .python) == #"{"b": [1, -2.5, null, true], "a": {"x": "é\"\\\n\u0001/", "y": {}}, "c": []}"#)
    }

    @Test func thePrettyLayoutIndentsByTwo() {
        #expect(
            sample.text(layout: .pretty) == """
                {
                  "b": [
                    1,
                    -2.5,
                    null,
                    true
                  ],
                  "a": {
                    "x": "é\\"\\\\\\n\\u0001/",
                    "y": {}
                  },
                  "c": []
                }
                """)
    }

    @Test func keysAreSortedByTheirBytes() {
        let value: JSONValue = ["b": 1, "é": 2, "B": 3, "": 4, "ba": 5, "z": ["d": 1, "c": 2]]
        #expect(value.text(sortsKeys: true) == #"{"":4,"B":3,"b":1,"ba":5,"z":{"c":2,"d":1},"é":2}"#)
    }

    @Test(
        arguments: [
            (0.1, "0.1"), (1.0, "1.0"), (-0.0, "-0.0"), (1e21, "1e+21"), (1e-7, "1e-07"), (.leastNonzeroMagnitude, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"), (123456789.125, "123456789.125"),
            (3.0e-6, "3e-06"), (100, "100.0"),
        ] as [(Double, String)])
    func doublesAreShortestAndReadBackExactly(_ number: Double, _ text: String) throws {
        #expect(JSONValue.double(number).description == text)
        #expect(try JSONParser.parse(text).double?.bitPattern == number.bitPattern)
    }

    @Test func randomDoublesSurviveTheWayThereAndBack() throws {
        var state: UInt64 = 99
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let number = Double(bitPattern: state)
            guard number.isFinite else { continue }
            #expect(try JSONParser.parse(JSONValue.double(number).description).double?.bitPattern == number.bitPattern)
        }
    }

    @Test func numbersWithoutAJSONFormAreTextOrPythonsNames() {
        let value: JSONValue = [.double(.nan), .double(.infinity), .double(-.infinity)]
        #expect(value.description == #"["NaN","Infinity","-Infinity"]"#)
        #expect(value.text(layout: .python) == "[NaN, Infinity, -Infinity]")
    }

    @Test func integersKeepTheirDigits() {
        #expect(JSONValue.int(.min).description == "-9223372036854775808")
        #expect(JSONValue.bigInteger("123456789012345678901234567890").description == "123456789012345678901234567890")
    }

    @Test func onlyWhatMustBeEscapedIs() {
        var text = ""
        for code in 0..<0x80 { text.unicodeScalars.append(Unicode.Scalar(UInt8(code))) }
        var output: [UInt8] = []
        JSONWriter.appendQuoted(text, to: &output)
        let written = String(decoding: output, as: UTF8.self)
        #expect(written.hasPrefix(#""\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e"#))
        #expect(written.contains(##" !\"#$"##) && written.contains(#"[\\]"#) && written.contains("/") && written.hasSuffix("\u{7F}\""))
        #expect(throws: Never.self) { try JSONParser.parse(output) }
        #expect((try? JSONParser.parse(output)) == .string(text))
    }

    @Test func appendingKeepsWhatIsThere() {
        var output = Array("x=".utf8)
        JSONWriter().append([1], to: &output)
        #expect(String(decoding: output, as: UTF8.self) == "x=[1]")
    }
}
