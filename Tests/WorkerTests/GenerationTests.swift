import Datasets
import EventLoop
import Foundation
import JSON
import Testing

@testable import Generation

/// The parts of a generation that need no server.
@Suite struct GenerationTests {
    // MARK: Prompts

    @Test func aTemplateIsFilledAsPythonFormatsIt() throws {
        let template = try PromptTemplate("{{x}} {problem}, {n} {flag} {none} {list}")
        let record: JSONObject = ["problem": "日本 {y}", "n": 1.5, "flag": true, "none": .null, "list": [1, "a"]]
        #expect(try template.filled(from: record) == "{x} 日本 {y}, 1.5 True None [1, \"a\"]")
        #expect(template.fields == ["problem", "n", "flag", "none", "list"])
        #expect(throws: PromptTemplate.Problem.self) { try template.filled(from: ["problem": "a"]) }
    }

    @Test(arguments: ["{", "}", "{a b}", "{}", "{a.b}", "a } b"])
    func aBrokenTemplateIsRefused(text: String) {
        #expect(throws: PromptTemplate.Problem.self) { try PromptTemplate(text) }
    }

    @Test func theRecordsOwnQuestionIsAskedWithoutItsAnswer() throws {
        let rule = PromptRule(system: try PromptTemplate("be brief"), api: .chat)
        let asked = try rule.prompt(for: ["messages": [["role": "user", "content": "q"], ["role": "assistant", "content": "a"]]])
        #expect(asked == .messages([["role": "system", "content": "be brief"], ["role": "user", "content": "q"]]))
        #expect(try PromptRule(api: .completions).prompt(for: ["input": "q", "output": "a"]) == .text("q"))
        #expect(throws: PromptTemplate.Problem.self) { try PromptRule(api: .completions).prompt(for: ["messages": []]) }
        #expect(throws: PromptTemplate.Problem.self) { try rule.prompt(for: ["other": "q"]) }
    }

    @Test func aRequestSaysOnlyWhatWasAskedFor() throws {
        let settings = GenerationSettings(model: "m", maxTokens: 5, temperature: 0.7, topP: 0.95, streams: true, extra: ["top_k": 3])
        let body = try JSONParser.parse(GenerationRequestBuilder(settings).body(.messages([["role": "user", "content": "q"]]), seed: 4))
        let expected: JSONValue = [
            "model": "m", "temperature": 0.7, "max_tokens": 5, "top_p": 0.95, "stream": true, "stream_options": ["include_usage": true],
            "top_k": 3, "messages": [["role": "user", "content": "q"]], "seed": 4,
        ]
        #expect(body == expected)
        let plain = GenerationSettings(api: .completions, model: "m")
        #expect(
            String(decoding: GenerationRequestBuilder(plain).body(.text("a\"b"), seed: 0), as: UTF8.self)
                == #"{"model":"m","temperature":0.0,"prompt":"a\"b","seed":0}"#)
    }

    // MARK: Answers

    private func assemble(_ text: String, pieceBytes: Int) -> StreamAssembly {
        var assembly = StreamAssembly()
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
            bytes[start..<min(bytes.count, start + pieceBytes)].withUnsafeBytes { assembly.feed($0) }
        }
        assembly.finish()
        return assembly
    }

    @Test(arguments: [1, 2, 3, 7, 64, 10_000])
    func aStreamIsTheSameHoweverItIsCut(pieceBytes: Int) {
        let stream = """
            : ping\r
            data: {"choices":[{"delta":{"role":"assistant","content":"日"}}]}\r
            \r
            event: message
            data:{"choices":[{"delta":{"reasoning_content":"hm"}}]}

            data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\\"a\\""}}]}}]}

            data: {"choices":[{"delta":{"content":"本","tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":"stop"}]}

            data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}

            data: [DONE]

            """
        let assembly = assemble(stream, pieceBytes: pieceBytes)
        #expect(assembly.isComplete && assembly.problem == nil)
        #expect(assembly.answer.text == "日本" && assembly.answer.reasoning == "hm" && assembly.answer.completionTokens == 9)
        #expect(assembly.answer.toolCalls == [["id": "c", "function": ["name": "f", "arguments": #"{"a":1}"#]]])
    }

    @Test func aStreamIsTakenUpToItsLimitAndNoByteFurther() {
        let filler = Array(": \(String(repeating: "x", count: 1021))\n".utf8)
        var assembly = StreamAssembly()
        for _ in 0..<(GenerationLimits.answerBytesMax / filler.count) { filler.withUnsafeBytes { assembly.feed($0) } }
        #expect(!assembly.isTooLong && assembly.problem == nil)
        [0x0A].withUnsafeBytes { assembly.feed(UnsafeRawBufferPointer(rebasing: $0[..<1])) }
        #expect(assembly.isTooLong)
    }

    @Test func aLineOfAStreamIsTakenUpToItsLimitAndNoByteFurther() {
        var assembly = StreamAssembly()
        let comment = [UInt8](repeating: UInt8(ascii: ":"), count: GenerationLimits.streamLineBytesMax)
        comment.withUnsafeBytes { assembly.feed($0) }
        #expect(assembly.problem == nil)
        comment.prefix(1).withUnsafeBytes { assembly.feed($0) }
        #expect(assembly.problem?.contains("more than \(GenerationLimits.streamLineBytesMax) bytes") == true)
    }

    @LoopActor @Test func aServerIsLeftInPeaceForAsLongAsItAsks() {
        let server = GenerationServer(.init(url: "http://a/v1/"), limit: ConcurrencyLimit(most: 8), now: 0)
        #expect(server.hasRoom(at: 0))
        server.note(GenerationFailure(.busy, "slow down", status: 429), retryAfterSeconds: 7, now: 1_000_000_000)
        #expect(!server.hasRoom(at: 7_999_999_999) && server.hasRoom(at: 8_000_000_000))
        // Nobody is waited for longer than a minute.
        server.note(GenerationFailure(.busy, "slow down", status: 503), retryAfterSeconds: 86_400, now: 10_000_000_000)
        #expect(!server.hasRoom(at: 69_000_000_000) && server.hasRoom(at: 70_000_000_000))
        server.note(GenerationFailure(.garbage, "<html>"), retryAfterSeconds: 7, now: 80_000_000_000)
        #expect(server.hasRoom(at: 80_000_000_000))
    }

    @Test func aStreamThatEndsEarlyOrTurnsToNoiseIsNoAnswer() {
        let start = #"data: {"choices":[{"delta":{"content":"a"}}]}"# + "\n\n"
        #expect(!assemble(start, pieceBytes: 9).isComplete)
        #expect(assemble(start + "data: {nonsense\n\n", pieceBytes: 9).problem != nil)
        #expect(assemble(start + "<html>\n", pieceBytes: 9).problem != nil)
        var broken = StreamAssembly()
        (Array(#"data: {"choices":[{"delta":{"content":""#.utf8) + [0xFF] + Array("\"}}]}\n".utf8)).withUnsafeBytes { broken.feed($0) }
        #expect(broken.problem?.contains("no UTF-8") == true)
        #expect(assemble(start + #"data: {"error":{"message":"on fire"}}"# + "\n\n", pieceBytes: 9).problem?.contains("on fire") == true)
    }

    @Test(arguments: [
        ("<think>a</think> b ", "b", true), ("a</think>b</think>\nc", "c", true), ("<think>a", "", false), ("plain", "", false),
        ("", "", false),
    ])
    func reasoningIsCutThroughItsLastEnd(text: String, answer: String, finished: Bool) {
        let parts = ReasoningSplit().split(text)
        #expect(parts.answer == answer && parts.finishedThinking == finished)
    }

    @Test func aRecordKeepsItsFieldsAndTheirDigits() throws {
        var answer = GeneratedAnswer()
        answer.text = "<think>x</think>42"
        answer.completionTokens = 7
        let input = Array(#"{"a": 1.10, "generation": "old", "big": 123456789012345678901}  "#.utf8)
        let bytes = try GenerationRecord(reasoning: ReasoningSplit()).bytes(input: input, answer: answer, startedAt: 1000, endedAt: 2500)
        let record = try JSONParser.parse(bytes)
        #expect(record["generation"] == "42" && record["_full_generation"] == "<think>x</think>42")
        #expect(record["generation_time"] == 1.5 && record["generation_start_time"] == 1.0 && record["num_generated_tokens"] == 7)
        #expect(record["big"] == .bigInteger("123456789012345678901"))
        let plain = try GenerationRecord().bytes(input: Array(#"{"a": 1.10}"#.utf8), answer: answer, startedAt: 0, endedAt: 0)
        #expect(String(decoding: plain, as: UTF8.self).hasPrefix(#"{"a": 1.10, "generation": "<think>x</think>42""#))
        let empty = try GenerationRecord().bytes(input: Array("{}".utf8), answer: answer, startedAt: 0, endedAt: 0)
        #expect(String(decoding: empty, as: UTF8.self).hasPrefix(#"{"generation": "#))
    }

    // MARK: Concurrency

    /// A server that brings `capacity` answers a second at most, and each no faster than in `seconds`; the limit after so many rounds.
    private func settle(capacity: Double, seconds: Double, most: Int, rounds: Int) -> Int {
        var limit = ConcurrencyLimit(most: most)
        var now = 1.0
        for _ in 0..<rounds {
            let count = limit.limit
            let latency = max(seconds, Double(count) / capacity)
            limit.noteFull()
            for _ in 0..<(count + 1) {
                now += latency / Double(count)
                limit.noteAnswer(tokens: 100, latency: UInt64(latency * 1e9), now: UInt64(now * 1e9))
            }
        }
        return limit.limit
    }

    @Test func theLimitGrowsWhereThereIsRoomAndStopsWhereMoreBringsNothing() {
        #expect(settle(capacity: 1e9, seconds: 0.5, most: 512, rounds: 12) == 512)
        let full = settle(capacity: 100, seconds: 1, most: 4096, rounds: 40)
        #expect((64...300).contains(full), "\(full)")
    }

    @Test func theLimitFallsOnceInARoundWhenTheServerPushesBack() {
        var limit = ConcurrencyLimit(most: 100, isAdaptive: true)
        limit.noteAnswer(tokens: 1, latency: 1_000_000_000, now: 1_000_000_000)
        for now in 0..<10 { limit.notePushBack(now: 2_000_000_000 + UInt64(now)) }
        #expect(limit.limit == 11)
        limit.notePushBack(isTimeout: true, now: 3_500_000_000)
        #expect(limit.limit == 5)
        for step in 1...20 { limit.notePushBack(now: 3_500_000_000 + UInt64(step) * 2_000_000_000) }
        #expect(limit.limit == 1)
        var fixed = ConcurrencyLimit(most: 100, isAdaptive: false)
        fixed.notePushBack(now: 5)
        #expect(fixed.limit == 100)
    }

    // MARK: The ledger

    @Test func aLedgerCutAtAnyByteLosesOnlyItsLastRecord() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("generation-\(UUID().uuidString)").path
        defer { unlink(path) }
        let records = (0..<3).map { Array(#"{"id": \#($0), "generation": "a}\n, \"_async_position\": 9}"}"#.utf8) }
        do {
            let ledger = try GenerationLedger(path: path, recordCount: 3)
            try ledger.append(records[2], at: 2)
            try ledger.append(records[0], at: 0)
            try ledger.append(Array(#"{"other": 1}"#.utf8), at: 0)
        }
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        let firstEnd = try #require(whole.firstIndex(of: 0x0A)) + 1
        for length in firstEnd..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            let ledger = try GenerationLedger(path: path, recordCount: 3)
            #expect(ledger.count == 1 && ledger.contains(2) && !ledger.contains(0))
            try ledger.append(records[1], at: 1)
            #expect(try ledger.record(at: 1) == records[1] && ledger.record(at: 2) == records[2])
            let again = try GenerationLedger(path: path, recordCount: 3)
            #expect(try again.count == 2 && again.record(at: 1) == records[1] && again.record(at: 0) == nil)
        }
    }
}
