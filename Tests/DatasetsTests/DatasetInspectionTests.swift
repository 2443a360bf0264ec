import Foundation
import Testing

@testable import Datasets

@Suite struct DatasetInspectionTests {
    private func inspect(_ text: String, format: DatasetFormat? = nil, lineBytesMax: Int = JSONLineReader.lineBytesMax) throws
        -> DatasetFacts
    {
        let folder = try TemporaryFolder()
        return try DatasetInspection.inspect(path: try folder.file("data.jsonl", text), format: format, lineBytesMax: lineBytesMax)
    }

    private func places(_ facts: DatasetFacts) -> [String] { facts.errors.map { "\($0.line)\($0.pointer)" } }

    @Test func aGoodFileIsDescribed() throws {
        let line = #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#
        let facts = try inspect("\u{FEFF}\(line)\r\n\n  \n\(line)")
        #expect(facts.format == .messages)
        #expect(facts.rows == 2)
        #expect(facts.errorCount == 0)
        #expect(facts.sha256.utf8.count == 64)
    }

    @Test func theHashIsThatOfTheBytes() throws {
        #expect(try inspect("abc").sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func brokenLinesAreNamedWithTheirPlace() throws {
        let facts = try inspect(
            """
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
            {"messages": [{"role": "user", "content": "a"}]}
            {"messages": []}
            {"messages": [{"role": "robot", "content": "a"}, 3, {"role": "assistant"}]}
            {"messages": [{"role": "assistant", "content": null, "tool_calls": [{}]}]}
            {"messages"
            {"input": "a", "output": "b"}
            [] {}
            """)
        #expect(facts.rows == 8)
        #expect(
            places(facts) == [
                "2/messages/0", "3/messages", "4/messages/0/role", "4/messages/1", "4/messages/2/content", "6", "7/messages", "8",
            ])
    }

    @Test func preferencePairsMayHaveEitherSpelling() throws {
        let facts = try inspect(
            """
            {"prompt": "p", "chosen_response": "a", "rejected_response": "b", "chosen_reward": 1, "rejected_reward": 0.5}
            {"prompt": [{"role": "user", "content": "p"}], "chosen": "a", "rejected": "b"}
            {"prompt": "p", "chosen_response": "a"}
            {"prompt": 1, "chosen": "a", "rejected": "b", "chosen_reward": "x"}
            """)
        #expect(facts.format == .preference)
        #expect(places(facts) == ["3/rejected_response", "4/prompt", "4/chosen_reward"])
    }

    @Test func preferencePairsMayBeMessages() throws {
        let user = #"{"role": "user", "content": "p"}"#
        let said = #"[{"role": "assistant", "content": "a"}]"#
        let whole = #"[\#(user), {"role": "assistant", "content": "a"}]"#
        let facts = try inspect(
            """
            {"prompt": [\(user)], "chosen": \(said), "rejected": \(said)}
            {"chosen": \(whole), "rejected": \(whole)}
            {"context": [\(user)], "completions": [{"rank": 0, "completion": \(said)}, {"rank": 1, "completion": \(said)}]}
            {"prompt": "p", "chosen": \(said), "rejected": "b"}
            {"chosen": \(said), "rejected": \(whole)}
            {"context": [\(user)], "completions": [{"rank": 1, "completion": \(said)}, {"rank": 1, "completion": [\(user)]}]}
            {"context": [\(user)], "completions": [{"completion": \(said)}]}
            """)
        #expect(facts.format == .preference)
        #expect(places(facts) == ["4/chosen", "5/prompt", "6/completions/1/completion/0", "6/completions", "7/completions"])
    }

    @Test(arguments: ["", "\n \n"])
    func aFileWithoutRecordsIsAnError(text: String) throws {
        let facts = try inspect(text)
        #expect(facts.rows == 0 && facts.errorCount == 1)
    }

    @Test func recordsOfNoKnownFormatAreErrors() throws {
        let facts = try inspect("{\"x\": 1}\n{\"messages\": [], \"input\": \"a\", \"output\": \"b\"}\n")
        #expect(facts.format == nil)
        #expect(facts.errorCount == 2)
    }

    @Test func aNamedFormatIsHeldTo() throws {
        let facts = try inspect("{\"input\": \"a\", \"output\": \"b\"}\n", format: .messages)
        #expect(places(facts) == ["1/messages"])
    }

    @Test func aLineIsReadAtTheLimitAndRefusedPastIt() throws {
        let line = #"{"input": "a", "output": "b"}"#
        let atLimit = try inspect("\(line)\n\(line)", lineBytesMax: line.utf8.count)
        #expect(atLimit.errorCount == 0)
        let past = try inspect("\(line)\n\(line) \n\(line)\n", lineBytesMax: line.utf8.count)
        #expect(places(past) == ["2"])
        #expect(past.rows == 3)
    }

    @Test func onlyTheFirstErrorsAreKeptAndAllAreCounted() throws {
        let facts = try inspect(String(repeating: "x\n", count: 250))
        #expect(facts.errors.count == DatasetIssueLog.keptMax)
        #expect(facts.errorCount == 250)
    }

    @Test(arguments: [1, 2, 7, 4096])
    func linesDoNotDependOnTheChunks(chunkBytes: Int) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("lines", "one\r\n\nthree three three\nfour")
        var lines: [String] = []
        var isTerminated: [Bool] = []
        try JSONLineReader(path: path, chunkBytes: chunkBytes).read { line in
            lines.append("\(line.number):\(line.offset):" + String(decoding: line.bytes, as: UTF8.self))
            isTerminated.append(line.isTerminated)
        }
        #expect(lines == ["1:0:one", "2:5:", "3:6:three three three", "4:24:four"])
        #expect(isTerminated == [true, true, true, false])
    }

    @Test func aMissingFileAndAFolderAreErrorsOfTheFileSystem() throws {
        let folder = try TemporaryFolder()
        let missing = try #require(throws: FileError.self) { try DatasetInspection.inspect(path: folder.path + "/none") }
        #expect(missing.isMissing)
        #expect(throws: FileError.self) { try DatasetInspection.inspect(path: folder.path) }
    }

    @Test func aFileAppearsOnlyWhenItIsComplete() throws {
        let folder = try TemporaryFolder()
        do {
            let abandoned = try DatasetWriter(path: folder.path + "/out")
            try abandoned.append(line: "x".utf8)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
        let writer = try DatasetWriter(path: folder.path + "/out")
        try writer.append(line: "x".utf8)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/out"))
        let file = try writer.finish()
        #expect(file.rows == 1 && file.bytes == 2)
        #expect(try folder.bytes("out") == Array("x\n".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["out"])
        #expect(throws: FileError.self) { try DatasetWriter(path: folder.path + "/none/out") }
    }
}
