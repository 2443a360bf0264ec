import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct RecordLoaderTests {
    private func load(
        _ path: String, mode: RecordLoader.Mode = .standard, chunkBytes: Int = RecordLoader.chunkBytes, recordBytesMax: Int = 1 << 20
    )
        throws -> (records: [JSONValue], lines: [Int], issues: [DatasetIssue])
    {
        var records: [JSONValue] = []
        var lines: [Int] = []
        var issues: [DatasetIssue] = []
        let loader = RecordLoader(path: path, mode: mode, chunkBytes: chunkBytes, recordBytesMax: recordBytesMax)
        let summary = try loader.load(onEvent: { event in
            switch event {
            case .record(let record, let line):
                records.append(record)
                lines.append(line)
            case .issue(let issue): issues.append(issue)
            }
        })
        #expect(summary.records == records.count)
        return (records, lines, issues)
    }

    @Test func readsSeveralValuesOnALineAndValuesOverSeveralLines() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", "{\"a\":1} {\"a\":2}\n{\n \"a\":\n 3}\n\u{3000}\u{A0}{\"a\":4}")
        let (records, lines, issues) = try load(path)
        #expect(records == [["a": 1], ["a": 2], ["a": 3], ["a": 4]])
        #expect(lines == [1, 1, 2, 5])
        #expect(issues.isEmpty)
    }

    @Test(arguments: [1, 2, 3, 5, 7, 64])
    func bordersOfChunksDoNotShow(chunkBytes: Int) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", "{\"a\": \"日本\\u00e9\"}\nbroken\n{\n\"b\": [12, 34.5e1]}\n12345 true")
        let (records, lines, issues) = try load(path, chunkBytes: chunkBytes)
        #expect(records == [["a": "日本é"], ["b": [12, 345.0]], 12345, true])
        #expect(lines == [1, 3, 5, 5])
        #expect(issues.map(\.line) == [2])
    }

    @Test func aHundredBrokenLinesDoNotStopTheOriginalAndOneMoreDoes() throws {
        let folder = try TemporaryFolder()
        let hundred = try folder.file("100", String(repeating: "broken\n", count: 100) + "{\"a\":1}\n")
        let oneMore = try folder.file("101", String(repeating: "broken\n", count: 101) + "{\"a\":1}\n")
        #expect(try load(hundred, mode: .original).records.count == 1)
        #expect(try load(oneMore, mode: .original).records.isEmpty)
        let standard = try load(oneMore)
        #expect(standard.records.count == 1)
        #expect(standard.issues.map(\.line) == Array(1...101))
    }

    @Test func aByteOrderMarkIsAnErrorOnlyInTheOriginal() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("bom", "\u{FEFF}{\"a\":1}\n{\"a\":2}\n")
        #expect(try load(path).records.count == 2)
        #expect(try load(path, mode: .original).records == [["a": 2]])
    }

    @Test func garbageAfterAValueLosesOnlyTheRestOfItsLine() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", "{\"a\":1} x {\"a\":2}\n{\"a\":3}\n{\"a\":NaN,\"a\":4}\n{\"a\": {\"b\":1}\n{\"a\":5}\n{\"a\":")
        let (records, _, issues) = try load(path)
        #expect(records == [["a": 1], ["a": 3], ["a": 5]])
        #expect(issues.map(\.line) == [1, 3, 4, 6])
        #expect(issues[1].detail.contains("the key 'a' stands twice"))
    }

    @Test func aRecordOfMoreThanTheLimitIsReportedAndPassedOver() throws {
        let folder = try TemporaryFolder()
        let huge = "{\"a\": \"" + String(repeating: "x", count: 5000)
        let path = try folder.file("in", "{\"a\":1}\n" + huge + "\"}\n{\"a\":2}\n")
        let atLimit = try load(path, chunkBytes: 512, recordBytesMax: 6000)
        #expect(atLimit.records.count == 3)
        let past = try load(path, chunkBytes: 512, recordBytesMax: 2048)
        #expect(past.records == [["a": 1], ["a": 2]])
        #expect(past.issues == [DatasetIssue(line: 2, detail: "a record of more than 2048 bytes")])
    }

    @Test func bytesThatAreNoUTF8AreReplacedAsPythonReplacesThem() throws {
        let folder = try TemporaryFolder()
        var random = MersenneTwister(seed: 5)
        let alphabet: [UInt8] = [0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xC2, 0xE0, 0xE3, 0xED, 0xA0, 0xEF, 0xF0, 0x90, 0xF4, 0x8F, 0xF5, 0xFF]
        let bytes = (0..<40_000).map { _ in random.choice(alphabet) }
        let source = try folder.file("raw", bytes)
        try Reference.run("decode", source, folder.path + "/decoded")
        let expected = try folder.bytes("decoded")
        for size in [1, 2, 3, 1000, 40_000] {
            var repair = UTF8Repair()
            var output: [UInt8] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                let end = min(start + size, bytes.count)
                bytes[start..<end].withUnsafeBufferPointer { repair.append($0, isLast: end == bytes.count, to: &output) }
            }
            #expect(output == expected, "pieces of \(size) bytes")
        }
    }

    @Test func theOriginalModeLoadsWhatTheReferenceLoads() throws {
        let folder = try TemporaryFolder()
        var random = MersenneTwister(seed: 11)
        let pieces = [
            "{\"a\": 1}", "{\"k\\u00e9\": [1, 2.50, -0, 1e5, 1E400, 12345678901234567890123]}", "\n", "\n", "\n", " ", "\u{85}", "\u{3000}",
            "x", "{",
            "{\"a\":\n\"b\"}", "{\"t\": \"\u{1F600}\\ud83d\\ude00\\n\\u0007\\u007f\"}", "[1,]", "{\"a\":1,}", "{\"a\":tru}", "{\"a\": NaN}",
            "{\"a\": -Infinity, \"a\": 0.1}", "{\"f\": [1e16, 1e-5, 0.0001, 123456789012345680.0, 5e-324]}", "\u{FEFF}", "\"open",
        ]
        let texts = (0..<300).map { _ in (0..<40).map { _ in random.choice(pieces) }.joined() }
        let paths = try texts.enumerated().map { try folder.file("in\($0.offset)", $0.element) }
        try Reference.run(["load"] + paths.flatMap { [$0, $0 + ".out"] })
        for (index, path) in paths.enumerated() {
            let written = try load(path, mode: .original).records.map { $0.text(layout: .python) + "\n" }.joined()
            #expect(Array(written.utf8) == (try folder.bytes("in\(index).out")), "\(texts[index])")
        }
    }

    @Test func numbersAndEscapesAreWrittenAsPythonWritesThem() throws {
        let folder = try TemporaryFolder()
        var random = MersenneTwister(seed: 3)
        let fixed = [
            "1e16", "9999999999999998.0", "12345678901234568.0", "1e15", "123456789012345.6", "1e22", "1e21", "0.0001", "0.00001", "1.5e-7",
            "5e-324",
            "1.7976931348623157e308", "-0.0", "-0", "1E400", "-1e-400", "0.1", "100.0", "2.5e3", "9223372036854775808",
            "-9223372036854775809",
        ]
        let drawn = (0..<2000).map { _ in Double(bitPattern: random.bits(64)) }.filter(\.isFinite).map { "\($0)" }
        let control = (0..<0x20).map { String(format: "\\u%04x", $0) }.joined()
        let text =
            (fixed + drawn).map { "{\"n\": \($0)}\n" }.joined() + "{\"t\": \"\(control)\\/\\\"\\\\\u{7F}\u{2028}\u{FFFF}\u{10FFFF}\"}\n"
        let path = try folder.file("in", text)
        try Reference.run("load", path, folder.path + "/out")
        let written = try load(path, mode: .original).records.map { $0.text(layout: .python) }
        let expected = try folder.lines("out")
        #expect(written.count == expected.count)
        for (mine, theirs) in zip(written, expected) where mine != theirs { #expect(mine == theirs) }
    }

    @Test func aFileLargerThanAChunkIsReadOnAfterTooManyErrorsInTheOriginal() throws {
        let folder = try TemporaryFolder()
        let filler = "{\"a\": \"" + String(repeating: "y", count: 1 << 20) + "\"}\n"
        let text = String(repeating: "broken\n", count: 101) + String(repeating: filler, count: 9) + "broken\n" + filler
        let path = try folder.file("in", text)
        try Reference.run("load", path, folder.path + "/out")
        let records = try load(path, mode: .original, recordBytesMax: 64 << 20).records
        #expect(records.count == (try folder.lines("out").count))
        #expect(try load(path, recordBytesMax: 64 << 20).records.count == 10)
    }
}
