import JSON
import Testing

@Suite struct JSONBridgeTests {
    struct Inner: Codable, Equatable {
        var zeta: Int
        var alpha: String?
        var flags: [Bool]
    }

    struct Outer: Codable, Equatable {
        var second: Double
        var first: Inner
        var free: JSONValue
        var many: [Inner]
        var wide: UInt64

        enum CodingKeys: String, CodingKey {
            case second = "second_value"
            case first, free, many, wide
        }
    }

    let sample = Outer(
        second: 0.5, first: Inner(zeta: 1, alpha: nil, flags: [true, false]),
        free: ["b": 1, "a": [nil, .bigInteger("123456789012345678901234567890")]],
        many: [Inner(zeta: -7, alpha: "ü", flags: [])], wide: .max)

    @Test func encodingKeepsTheOrderOfKeysAndLeavesNilOut() throws {
        #expect(
            try JSONValue(encoding: sample).text()
                == #"{"second_value":0.5,"first":{"zeta":1,"flags":[true,false]},"free":{"b":1,"a":[null,123456789012345678901234567890]},"#
                + #""many":[{"zeta":-7,"alpha":"ü","flags":[]}],"wide":18446744073709551615}"#)
    }

    @Test func decodingIsTheInverseOfEncodingThroughText() throws {
        let text = try JSONValue(encoding: sample).text()
        #expect(try Outer(decoding: JSONParser.parse(text)) == sample)
    }

    @Test func dictionariesAreSortedAndOrderedMapsKeepTheirOrder() throws {
        #expect(try JSONValue(encoding: ["b": 1, "a": 2, "c": 3]).text() == #"{"a":2,"b":1,"c":3}"#)
        let map: OrderedMap<Int> = ["b": 1, "a": 2]
        let json = try JSONValue(encoding: map)
        #expect(json.text() == #"{"b":1,"a":2}"#)
        #expect(try OrderedMap<Int>(decoding: json) == map)
        #expect(try [String: Int](decoding: json) == ["a": 2, "b": 1])
    }

    @Test func bareValuesAndJSONValuesPassThrough() throws {
        #expect(try JSONValue(encoding: 7) == .int(7))
        #expect(try JSONValue(encoding: [1.5]) == [1.5])
        #expect(try JSONValue(encoding: String?.none) == .null)
        #expect(try JSONValue(encoding: JSONValue.double(2)) == .double(2))
        #expect(try JSONValue(decoding: ["x": nil]) == ["x": nil])
        #expect(try String?(decoding: .null) == nil)
        #expect(try [JSONValue?](decoding: [nil, 1]).count == 2)
    }

    @Test func numbersThatJSONHasNoFormForSurviveTheirTextForm() throws {
        let values = [Double.nan, .infinity, -.infinity]
        let text = try JSONValue(encoding: values).text()
        #expect(text == #"["NaN","Infinity","-Infinity"]"#)
        let read = try [Double](decoding: JSONParser.parse(text))
        #expect(read[0].isNaN && read[1] == .infinity && read[2] == -.infinity)
    }

    struct Nesting: Codable, Equatable {
        var name = "n"
        var numbers = [1, 2]

        init() {}

        enum Keys: String, CodingKey { case head, tail }
        enum HeadKeys: String, CodingKey { case name }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            var tail = container.nestedUnkeyedContainer(forKey: .tail)
            var head = container.nestedContainer(keyedBy: HeadKeys.self, forKey: .head)
            try tail.encode(numbers[0])
            try head.encode(name, forKey: .name)
            var last = tail.nestedUnkeyedContainer()
            try last.encode(numbers[1])
            try tail.encodeNil()
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Keys.self)
            name = try container.nestedContainer(keyedBy: HeadKeys.self, forKey: .head).decode(String.self, forKey: .name)
            var tail = try container.nestedUnkeyedContainer(forKey: .tail)
            let first = try tail.decode(Int.self)
            var last = try tail.nestedUnkeyedContainer()
            numbers = [first, try last.decode(Int.self)]
            #expect(try tail.decodeNil() && tail.isAtEnd)
        }
    }

    @Test func nestedContainersFillTheirPlacesInAnyOrder() throws {
        let json = try JSONValue(encoding: Nesting())
        #expect(json.text() == #"{"tail":[1,[2],null],"head":{"name":"n"}}"#)
        #expect(try Nesting(decoding: json) == Nesting())
    }

    @Test(arguments: [
        (#"{"zeta":"x","flags":[]}"#, "/zeta: expected an integer, found a string"),
        (#"{"flags":[]}"#, "/zeta: is missing"),
        (#"{"zeta":1,"flags":[true,1]}"#, "/flags/1: expected a boolean, found an integer"),
        (#"{"zeta":1.5,"flags":[]}"#, "/zeta: the number 1.5 is not a whole number from -9223372036854775808 to 9223372036854775807"),
        (#"{"zeta":1,"flags":null}"#, "/flags: expected an array, found null"),
        (#"{"zeta":1,"alpha":{},"flags":[]}"#, "/alpha: expected a string, found an object"),
        (#"[]"#, "expected an object, found an array"),
    ]) func decodingErrorsNameThePlaceAndTheFault(text: String, expected: String) throws {
        let error = #expect(throws: JSONDecodingError.self) { try Inner(decoding: JSONParser.parse(text)) }
        #expect(error?.description == expected)
    }

    enum Colour: String, Codable { case red }

    @Test func errorsOfTheStandardLibrarysConformancesAreTranslated() throws {
        let error = #expect(throws: JSONDecodingError.self) { try [String: [Colour]](decoding: ["a/b": ["red", "blue"]]) }
        #expect(error?.pointer.description == "/a~1b/1")
    }
}
