import Testing

@testable import Packing

@Suite struct LengthsReaderTests {
    private static let hashes = #""tokenizer_sha256":"\#(String(repeating: "1", count: 64))","dataset_sha256":null"#
    private static let header = #"{"format":"anneal.lengths","version":1,"kind":"sft",\#(hashes),"records":2}"#

    private func read(_ lines: [String]) throws -> (lengths: PackingLengths, reader: LengthsReader) {
        var reader = LengthsReader()
        for line in lines { try reader.read(line: line.utf8) }
        return (try reader.finish(), reader)
    }

    @Test func sequencesAreRead() throws {
        let found = try read([Self.header, #"{"line":1,"length":57}"#, #"{"line":3,"length":9}"#])
        #expect(found.lengths == .sequences([57, 9]))
        #expect(found.reader.datasetLines == [1, 3])
        #expect(found.reader.provenance.tokenizerHash == String(repeating: "1", count: 64))
        #expect(found.reader.provenance.datasetHash == nil)
    }

    @Test func pairsAreRead() throws {
        let header = Self.header.replacing("sft", with: "dpo")
        let found = try read([header, #"{"line":1,"chosen":5,"rejected":6}"#, #"{"line":2,"chosen":7,"rejected":8}"#])
        #expect(found.lengths == .pairs([.init(chosen: 5, rejected: 6), .init(chosen: 7, rejected: 8)]))
    }

    @Test(arguments: [
        [],
        [header],
        [header, #"{"line":1,"length":5}"#],
        [header, #"{"line":1,"length":5}"#, #"{"line":1,"length":5}"#],
        [header, #"{"line":1,"length":0}"#, #"{"line":2,"length":5}"#],
        [header, #"{"line":1,"chosen":5,"rejected":5}"#, #"{"line":2,"length":5}"#],
        [header, "x"],
        [header.replacing("sft", with: "kto")],
        [header.replacing("anneal.lengths", with: "other")],
        [header.replacing(":1,", with: ":2,")],
        [header.replacing("1111", with: "111")],
    ]) func whatIsNoFileOfLengthsIsRefused(lines: [String]) {
        let error = #expect(throws: PackingError.self) { try read(lines) }
        #expect(error?.code == .badData)
    }
}
