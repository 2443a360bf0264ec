import JSON
import Testing

@testable import Specification

@Suite struct JSONDocumentTests {
    private func failure(_ text: String, format: SpecDocument.Format = .auto) -> SpecError? {
        switch SpecDocument.parse(Array(text.utf8), format: format) {
        case .success: nil
        case .failure(let errors): errors.errors.first
        }
    }

    @Test func jsonIsReadAsJSON() throws {
        let text = "{\"a\": 1e2, \"b\": \"no\", \"c\": [true, null, \"\\u00e9\"]}"
        #expect(try SpecDocument.parse(Array(text.utf8)).get().value == ["a": 100.0, "b": "no", "c": [true, nil, "é"]])
    }

    @Test func aFlowMappingInYAMLIsNotMistakenForJSON() throws {
        #expect(try SpecDocument.parse(Array("{a: 1, b: [x]} # comment".utf8)).get().value == ["a": 1, "b": ["x"]])
        #expect(try SpecDocument.parse(Array("{\"a\": 1, b: x}".utf8)).get().value == ["a": 1, "b": "x"])
    }

    @Test func repeatedKeysAreRefusedWithTheirLine() {
        let error = failure("{\n  \"a\": 1,\n  \"a\": 2\n}")
        #expect(error?.code == .duplicateKey)
        #expect(error?.line == 3)
        #expect(error?.column == 3)
    }

    @Test func brokenJSONIsRefusedWithItsPlace() {
        let error = failure("{\n  \"é\": 1,\n  \"b\": \n}", format: .json)
        #expect(error?.code == .syntax)
        #expect(error?.line == 4)
        #expect(error?.column == 1)
        #expect(failure("{a: 1}", format: .json)?.line == 1)
        #expect(failure("{\"a\": \"", format: .json)?.code == .syntax)
    }

    @Test func nestingAndStringsAreBounded() {
        let deep = String(repeating: "[", count: SpecLimits.depthMax) + String(repeating: "]", count: SpecLimits.depthMax)
        #expect(failure("{\"a\": \(deep)}") == nil)
        #expect(failure("{\"a\": [\(deep)]}") != nil)
        let long = String(repeating: "x", count: SpecLimits.stringBytesMax)
        #expect(failure("{\"a\": [\"\(long)\"]}") == nil)
        let error = failure("{\"k\":\n [\"\(long)x\"]}")
        #expect(error?.code == .tooLarge)
        #expect(error?.pointer.description == "/k/0")
        #expect(error?.line == 2)
    }

    @Test(
        arguments: [
            ("/name", 2, 11), ("/jobs", 3, 3), ("/jobs/a", 4, 5), ("/jobs/a/list/1", 5, 19), ("/jobs/a/list", 5, 7),
            ("/jobs/a/kind", 6, 15), ("/jobs/b", 3, 3),
            ("/jobs/a/list/7", 5, 7), ("", 1, 1), ("/name/x", 2, 11),
        ] as [(String, Int, Int)])
    func placesAreFoundInJSON(_ pointer: String, _ line: Int, _ column: Int) throws {
        let text = """
            {
              "name": "ä\\"b",
              "jobs": {
                "a": {
                  "list": [1, "x,]}"],
                  "kind": "command"
                }
              }
            }
            """
        let document = try SpecDocument.parse(Array(text.utf8)).get()
        let place = try #require(JSONPointer(text: pointer))
        let position = try #require(document.position(of: place))
        #expect(position.line == line)
        #expect(position.column == column)
    }

    @Test(
        arguments: [
            ("/name", 1, 7), ("/jobs", 2, 1), ("/jobs/a", 3, 3), ("/jobs/a/list/1", 4, 15), ("/jobs/a/list", 4, 5), ("/jobs/a/kind", 5, 11),
            ("/jobs/b", 2, 1),
        ] as [(String, Int, Int)])
    func placesAreFoundInYAML(_ pointer: String, _ line: Int, _ column: Int) throws {
        let document = try SpecDocument.parse(Array("name: ä\njobs:\n  a:\n    list: [1, x]\n    kind: command\n".utf8)).get()
        let place = try #require(JSONPointer(text: pointer))
        let position = try #require(document.position(of: place))
        #expect(position.line == line)
        #expect(position.column == column)
    }

    @Test func aKeyHasAPlaceOfItsOwn() throws {
        let document = try SpecDocument.parse(Array("name: x\njobs:\n  a:\n    kind: y\n".utf8)).get()
        let position = try #require(document.position(of: JSONPointer(["jobs", "a", "kind"]), atKey: true))
        #expect(position.line == 4)
        #expect(position.column == 5)
    }

    @Test func aValueWithoutTextHasNoLines() {
        let document = SpecDocument(value: ["name": 5])
        #expect(document.position(of: JSONPointer(["name"])) == nil)
    }
}
