import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct DatasetExportTests {
    private func written(_ text: String, _ layout: DatasetExport.Layout, _ conversion: DatasetExport.Conversion? = nil) throws -> String {
        let folder = try TemporaryFolder()
        let target = folder.path + "/out"
        try DatasetExport(layout: layout, conversion: conversion).write(from: try folder.file("in.jsonl", text), to: target)
        return try String(contentsOfFile: target, encoding: .utf8)
    }

    @Test func aTableQuotesWhatItMustAndFillsWhatIsMissing() throws {
        let text = #"{"a": "x,\"y\"\nz", "b": 1.5}"# + "\n\n" + #"{"b": null, "c": true}"#
        #expect(try written(text, .csv) == "a,b,c\r\n\"x,\"\"y\"\"\nz\",1.5,\r\n,,true\r\n")
        #expect(try written("{\"a\": \"\"}\n", .csv) == "a\r\n\"\"\r\n", "an empty line would be no record")
    }

    @Test func numbersAndTextsStayAsTheyAre() throws {
        let line = #"{"n": 123456789012345678901234567890, "f": 0.1, "t": "é\u0000"}"#
        let records = try JSONParser.parse(try written(line, .json)).array
        #expect(records == [try JSONParser.parse(line)])
    }

    private static let losing = [
        #"{"messages": [{"role": "user", "content": "a"}]}"#,
        #"{"messages": [{"role": "user", "content": "a", "name": "n"}, {"role": "assistant", "content": "b"}]}"#,
        #"{"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}"#,
        #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null, "tool_calls": [{}]}]}"#,
    ]

    @Test(arguments: losing)
    func whatWouldLoseSomethingIsRefusedWithItsLine(record: String) throws {
        let sound = #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#
        let error = try #require(throws: DatasetError.self) { try written(sound + "\n" + record, .jsonLines, .inputOutput) }
        #expect(error.issues.first?.line == 2 && error.issues.first?.pointer == "/messages")
    }
}
