import JSON
import Testing

@Suite struct JSONPointerTests {
    /// The document and the pointers of RFC 6901 section 5.
    @Test(
        arguments: [
            ("/foo", ["bar", "baz"] as JSONValue), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3), ("/g|h", 4),
            ("/i\\j", 5), ("/k\"l", 6), ("/ ", 7), ("/m~0n", 8),
        ] as [(String, JSONValue)])
    func theExamplesOfTheRFCHold(_ text: String, _ expected: JSONValue) throws {
        let document: JSONValue = [
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8,
        ]
        let pointer = try #require(JSONPointer(text: text))
        #expect(document[pointer] == expected)
        #expect(pointer.description == text)
    }

    @Test func theEmptyPointerIsTheWholeDocument() throws {
        let pointer = try #require(JSONPointer(text: ""))
        #expect(pointer.tokens.isEmpty && pointer.description.isEmpty)
        #expect((["a": 1] as JSONValue)[pointer] == ["a": 1])
    }

    @Test(arguments: ["foo", "#/foo", " /foo"])
    func aPointerStartsWithASlash(_ text: String) {
        #expect(JSONPointer(text: text) == nil)
    }

    @Test(arguments: ["/foo/2", "/foo/-1", "/foo/-", "/foo/x", "/bar", "/foo/0/1", "/n/x"])
    func aPlaceThatIsNotThereHasNoValue(_ text: String) throws {
        let document: JSONValue = ["foo": ["bar", "baz"], "n": 5]
        #expect(document[try #require(JSONPointer(text: text))] == nil)
    }

    @Test func tokensAreEscapedInTheRightOrder() throws {
        let pointer = JSONPointer(["~1", "a/b~", ""]) / "~/" / 3
        #expect(pointer.description == "/~01/a~1b~0//~0~1/3")
        #expect(JSONPointer(text: pointer.description) == pointer)
    }

    @Test(arguments: ["/foo/00", "/foo/01", "/foo/+1"])
    func anIndexHasNoLeadingZeroAndNoSign(_ text: String) throws {
        // RFC 6901 section 4.
        let document: JSONValue = ["foo": ["bar", "baz"]]
        #expect(document[try #require(JSONPointer(text: text))] == nil)
    }
}

@Suite struct JSONValueTests {
    @Test func aMarkAfterASlashIsPartOfTheToken() {
        #expect(JSONPointer(text: "/\u{1F3FB}a/\u{301}b")?.tokens == ["\u{1F3FB}a", "\u{301}b"])
    }

    @Test func membersAndElementsAreFound() {
        let value: JSONValue = ["a": [1, 2], "b": nil]
        #expect(value["a"]?[1] == 2 && value["a"]?[2] == nil && value["a"]?[-1] == nil && value["x"] == nil)
        #expect(value["b"]?.isNull == true && (5 as JSONValue)["a"] == nil && (5 as JSONValue)[0] == nil)
    }

    @Test func numbersConvertOnlyWhereNothingIsLost() {
        #expect(JSONValue.int(5).int == 5 && JSONValue.double(5).int == 5 && JSONValue.double(5.5).int == nil)
        #expect(JSONValue.double(1e30).int == nil && JSONValue.double(.nan).int == nil && JSONValue.double(.infinity).int == nil)
        #expect(
            JSONValue.bigInteger("99999999999999999999").int == nil && JSONValue.string("5").int == nil && JSONValue.bool(true).int == nil)
        #expect(
            JSONValue.int(5).double == 5 && JSONValue.bigInteger("1" + String(repeating: "0", count: 20)).double == 1e20
                && JSONValue.null.double == nil)
        #expect(
            JSONValue.string("x").string == "x" && JSONValue.int(1).string == nil && JSONValue.bool(true).bool == true
                && JSONValue.int(1).bool == nil)
        #expect(
            JSONValue.array([1]).array == [1] && JSONValue.null.array == nil && JSONValue.object([:]).object == [:]
                && JSONValue.null.object == nil)
    }

    @Test func everyValueHasAName() {
        let values: [JSONValue] = [nil, true, 1, .bigInteger("1"), 1.5, "x", [], [:]]
        #expect(values.map(\.typeName) == ["null", "boolean", "integer", "integer", "number", "string", "array", "object"])
    }

    @Test func objectsAreEqualOnlyInTheSameOrder() {
        // Keys keep their order, and the order counts; a canonical comparison sorts them first.
        #expect((["a": 1, "b": 2] as JSONValue) != ["b": 2, "a": 1])
        #expect((["a": 1, "b": 2] as JSONValue).text(sortsKeys: true) == (["b": 2, "a": 1] as JSONValue).text(sortsKeys: true))
    }
}
