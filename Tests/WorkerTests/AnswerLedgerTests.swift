import Foundation
import Generation
import JSON
import Testing

@Suite struct AnswerLedgerTests {
    private func request(_ text: String, temperature: Double = 0) -> CompletionRequest {
        CompletionRequest(
            model: "m", messages: [["role": "user", "content": .string(text)]],
            settings: SamplingSettings(maxTokens: 8, temperature: temperature), seed: 0)
    }

    private func answer(_ text: String) -> Completion {
        Completion(content: text, reasoning: "r", finishReason: "length", promptTokens: 1, completionTokens: 2, startedAt: 10, endedAt: 20)
    }

    @Test func answersAreFoundAgainAndOnlyForTheSameRequest() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("ledger-\(UUID().uuidString)").path
        defer { unlink(path) }
        let key = AnswerKey(benchmark: "b", item: 0, sample: 0, request: request("q"))
        do {
            let ledger = try AnswerLedger(path: path)
            try ledger.append(answer("日本\n\"x\""), for: key)
        }
        let ledger = try AnswerLedger(path: path)
        #expect(try ledger.answer(for: key) == answer("日本\n\"x\""))
        #expect(!ledger.contains(AnswerKey(benchmark: "b", item: 0, sample: 0, request: request("other"))))
        #expect(!ledger.contains(AnswerKey(benchmark: "b", item: 0, sample: 0, request: request("q", temperature: 1))))
        #expect(!ledger.contains(AnswerKey(benchmark: "b", item: 0, sample: 1, request: request("q"))))
    }

    @Test func aLastLineCutAtAnyByteLosesOnlyItself() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("ledger-\(UUID().uuidString)").path
        defer { unlink(path) }
        let keys = (0..<3).map { AnswerKey(benchmark: "b", item: $0, sample: 0, request: request("q\($0)")) }
        do {
            let ledger = try AnswerLedger(path: path)
            for key in keys.prefix(2) { try ledger.append(answer("a\(key.item)"), for: key) }
        }
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        let firstEnd = try #require(whole.firstIndex(of: 0x0A)) + 1
        for length in firstEnd..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            let ledger = try AnswerLedger(path: path)
            #expect(ledger.count == 1)
            try ledger.append(answer("a2"), for: keys[2])
            #expect(try ledger.answer(for: keys[0]) == answer("a0"))
            let again = try AnswerLedger(path: path)
            #expect(again.count == 2)
            #expect(try again.answer(for: keys[2]) == answer("a2"))
        }
    }
}
