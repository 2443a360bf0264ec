import Foundation
import JSON
import Testing

/// What the real worker says of bad input, and what becomes of the rest of it.
@Suite(.serialized) struct PrepareBadInputTests {
    private static let good = #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#

    /// A bad second line of a file, and what is said of it.
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var bytes: [UInt8]
        var pointer: String = ""
        var words: String

        init(_ name: String, _ text: String, at pointer: String = "", _ words: String) {
            self.init(name, bytes: Array(text.utf8), at: pointer, words)
        }

        init(_ name: String, bytes: [UInt8], at pointer: String = "", _ words: String) {
            (self.name, self.bytes, self.pointer, self.words) = (name, bytes, pointer, words)
        }

        var testDescription: String { name }
    }

    private static let deep = String(repeating: "[", count: 2000) + String(repeating: "]", count: 2000)

    static let cases: [Case] = [
        Case("broken", #"{"messages": [}"#, "not JSON"),
        Case("duplicate key", #"{"messages": [], "messages": []}"#, "'messages'"),
        Case("deeply nested", #"{"messages": \#(deep)}"#, "not JSON"),
        Case("scalar", "12", "must be an object"),
        Case("wrong type", #"{"messages": [{"role": "user", "content": 3}]}"#, at: "/messages/0/content", "must be a string"),
        Case("other format", #"{"input": "a", "output": "b"}"#, at: "/messages", "is missing"),
        Case("empty", #"{"messages": []}"#, at: "/messages", "is empty"),
        Case(
            "wrong encoding", bytes: Array(#"{"messages": [{"role": "assistant", "content": ""#.utf8) + [0xE9, 0x22] + Array("}]}".utf8),
            "not UTF-8"),
    ]

    private func write(_ fixture: WorkerFixture, _ parts: [[UInt8]], _ name: String = "data.jsonl") throws -> String {
        let path = fixture.folder + "/" + name
        try Data(parts.joined(separator: [0x0A])).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test(arguments: cases)
    func aBadRecordEndsTheJobWithFileLineAndPointer(_ bad: Case) throws {
        let fixture = try WorkerFixture()
        let path = try write(fixture, [Array(Self.good.utf8), bad.bytes, Array(Self.good.utf8), []])
        let ending = try fixture.run(kind: "prepare", spec: ["source": ["file": .string(path)], "on_bad_record": "fail"])
        #expect(ending.exitCode == 65 && ending.reason == "bad_data", "\(ending.output)")
        #expect(ending.message.hasPrefix("data.jsonl: "), "\(ending.message)")
        #expect(ending.message.contains("line 2") && ending.message.contains(bad.words), "\(ending.message)")
        let issue = try #require(ending.outputs?["error"]?["errors"]?[0])
        #expect(issue["line"] == 2 && issue["pointer"]?.string == bad.pointer, "\(issue)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.outputFolder).isEmpty)
    }

    @Test(arguments: cases)
    func aBadRecordIsLeftOutAndListedWhereTheSpecSaysSo(_ bad: Case) throws {
        let fixture = try WorkerFixture()
        let path = try write(fixture, [Array(Self.good.utf8), bad.bytes, Array(Self.good.utf8), []])
        let ending = try fixture.run(
            kind: "prepare", spec: ["source": ["file": .string(path)], "on_bad_record": "drop", "bad_records_max": 1])
        // A file of another encoding is repaired where it can be, so that its record may stay.
        let rows = try #require(ending.outputs?["outputs"]?["dataset"]?["rows"]?.int, "\(ending.output)")
        #expect(ending.exitCode == 0 && rows == (bad.name == "wrong encoding" ? 3 : 2))
        #expect(ending.outputs?["summary"]?["bad_records"] == 1)
        let list = try #require(ending.outputs?["outputs"]?["bad_records"]?["path"]?.string)
        let first = try JSONParser.parse(try #require(try fixture.lines(list).first))
        #expect(first["line"] == 2 && first["file"]?.string == path && first["pointer"]?.string == bad.pointer)
        #expect(first["detail"]?.string?.contains(bad.words) == true, "\(first)")
    }

    @Test func moreBadRecordsThanAllowedEndTheJobAndTheListIsKept() throws {
        let fixture = try WorkerFixture()
        let path = try write(fixture, [Array(Self.good.utf8), [0x7B], Array(Self.good.utf8), [0x7D], []])
        let spec: JSONValue = ["source": ["file": .string(path)], "on_bad_record": "drop", "bad_records_max": 1]
        let ending = try fixture.run(kind: "prepare", spec: spec)
        #expect(ending.exitCode == 65, "\(ending.output)")
        #expect(ending.message.contains("more than 1 bad records") && ending.message.contains("bad-records.jsonl"), "\(ending.message)")
        #expect(try fixture.lines(fixture.outputFolder + "/bad-records.jsonl").count == 2)
        let allowed = try fixture.run(
            kind: "prepare", spec: ["source": ["file": .string(path)], "on_bad_record": "drop", "bad_records_max": 2])
        #expect(allowed.exitCode == 0, "\(allowed.output)")
    }

    @Test func severalFilesAreToldApart() throws {
        let fixture = try WorkerFixture()
        let first = try write(fixture, [Array(Self.good.utf8), []], "first.jsonl")
        let second = try write(fixture, [Array(Self.good.utf8), [0x7B], []], "second.jsonl")
        let ending = try fixture.run(kind: "prepare", spec: ["source": ["file": [.string(first), .string(second)]]])
        #expect(ending.exitCode == 65 && ending.message.contains("line 2: second.jsonl: "), "\(ending.message)")
    }

    @Test func aByteOrderMarkIsReadOverAndAFileCutOffInARecordIsTold() throws {
        let fixture = try WorkerFixture()
        let marked = try write(fixture, [[0xEF, 0xBB, 0xBF] + Array(Self.good.utf8), []])
        let ending = try fixture.run(kind: "prepare", spec: ["source": ["file": .string(marked)]])
        #expect(ending.exitCode == 0 && ending.outputs?["outputs"]?["dataset"]?["rows"] == 1, "\(ending.output)")
        let cut = try write(fixture, [Array(Self.good.utf8), Array(Self.good.utf8.dropLast(9))])
        let truncated = try fixture.run(kind: "prepare", spec: ["source": ["file": .string(cut)]])
        #expect(truncated.exitCode == 65 && truncated.message.contains("line 2: the file ends inside a record"), "\(truncated.message)")
    }

    @Test(arguments: [
        ([0xFF, 0xFE, 0x7B, 0x00] as [UInt8], "UTF-16"), ([0x1F, 0x8B, 0x08, 0x00], "gzip"), ([0x50, 0x41, 0x52, 0x31], "Parquet"),
        ([0x28, 0xB5, 0x2F, 0xFD], "zstd"),
    ])
    func aFileOfAnotherKindIsNamedAsSuch(start: [UInt8], kind: String) throws {
        let fixture = try WorkerFixture()
        let path = try write(fixture, [start + Array("0000".utf8)])
        let ending = try fixture.run(kind: "prepare", spec: ["source": ["file": .string(path)]])
        #expect(ending.exitCode == 65 && ending.message.contains(kind) && ending.message.contains("data.jsonl"), "\(ending.message)")
    }

    @Test func aLineOfAHundredMegabytesIsPassedOverInBoundedMemory() throws {
        let fixture = try WorkerFixture()
        let path = fixture.folder + "/data.jsonl"
        FileManager.default.createFile(atPath: path, contents: Data((Self.good + "\n" + #"{"messages": ""#).utf8))
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.seekToEnd()
        let megabyte = Data(repeating: UInt8(ascii: "x"), count: 1 << 20)
        for _ in 0..<100 { try file.write(contentsOf: megabyte) }
        try file.write(contentsOf: Data(("\"}\n" + Self.good + "\n").utf8))
        try file.close()
        // The limit of the data segment counts every private page, so that holding the line twice would end the worker.
        let ending = try fixture.run(
            kind: "prepare", spec: ["source": ["file": .string(path)], "on_bad_record": "drop"],
            launcher: ["/bin/sh", "-c", "ulimit -d 450000; exec \"$0\""])
        #expect(ending.exitCode == 0, "\(ending.output)")
        #expect(ending.outputs?["outputs"]?["dataset"]?["rows"] == 2)
        #expect(ending.outputs?["summary"]?["first_errors"]?[0]?["line"] == 2)
        #expect(ending.output.contains("line 2: a record of more than 67108864 bytes"), "\(ending.output)")
    }

    @Test func aTemplateWithAnUnknownFieldNamesTheRecordAndTheStep() throws {
        let fixture = try WorkerFixture()
        let path = try fixture.write("q.jsonl", "{\"problem\": \"a\", \"generation\": \"g\"}\n{\"generation\": \"h\"}\n")
        let spec: JSONValue = ["source": ["file": .string(path)], "steps": [["render": ["user": "Solve {problem}"]]]]
        let ending = try fixture.run(kind: "prepare", spec: spec)
        #expect(ending.exitCode == 65, "\(ending.output)")
        #expect(ending.message.hasPrefix("q.jsonl, line 2, /problem: ") && ending.message.contains("(step 1, render)"), "\(ending.message)")
        let dropping = try fixture.run(
            kind: "prepare",
            spec: ["source": ["file": .string(path)], "steps": [["render": ["user": "Solve {problem}"]]], "on_bad_record": "drop"])
        #expect(dropping.exitCode == 0 && dropping.outputs?["outputs"]?["dataset"]?["rows"] == 1, "\(dropping.output)")
        #expect(dropping.outputs?["summary"]?["steps"]?[0]?["dropped"]?["bad_record"] == 1)
        let syntax = try fixture.run(
            kind: "prepare", spec: ["source": ["file": .string(path)], "steps": [["render": ["user": "Solve {problem"]]]])
        #expect(syntax.exitCode == 64 && syntax.message.hasPrefix("/steps/0/render/user: "), "\(syntax.message)")
    }
}
