import JSON
import Testing

@testable import Domain

@Suite struct GenerationJournalTests {
    private static let entries: [GenerationEntry] = [
        .pass(.init(seed: 3, chunk: 1, chunks: 4, first: 100, total: 50, fingerprint: "abc")),
        .have(seed: 3, ranges: [0...9, 12...12]), .have(seed: 0, ranges: []),
        .done(seed: 3, .init(position: 10, tokens: 300, finish: .length, at: Timestamp(milliseconds: 5))),
        .done(seed: 3, .init(position: 11, tokens: nil, finish: .toolCalls, at: Timestamp(milliseconds: 5), isCopy: true)),
        .failed(seed: 3, .init(position: 13, cause: "server_error", tries: 5, at: Timestamp(milliseconds: 6), message: "it said: 日本 no")),
        .failed(seed: 3, .init(position: 13, cause: "closed", tries: 1, at: Timestamp(milliseconds: 6), message: "")),
    ]

    @Test(arguments: entries)
    func anEntryIsReadAsItWasWritten(entry: GenerationEntry) {
        let line = entry.line
        #expect(line.last == 0x0A)
        #expect(GenerationEntry(line: line.dropLast()) == entry)
    }

    @Test(arguments: [
        "", "done", "done 1", "done 1 2 3 stop", "done -1 2 3 stop 5", "done 1 2 x stop 5", "done 1 2 3 sleepy 5", "done 1 2 3 stop 5 6",
        "have 1 5-2", "have 1 a-b", "pass 1 2 3 4 5", "fail 1 2 timeout 3 5", "what 1 2 3", "\u{0}\u{1}",
    ])
    func aBrokenLineIsNone(line: String) { #expect(GenerationEntry(line: Array(line.utf8)) == nil) }

    @Test func aMessageIsOneLineOfBoundedLength() {
        let long = String(repeating: "a\r\n", count: GenerationEntry.messageBytesMax)
        let entry = GenerationEntry.failed(
            seed: 0, .init(position: 0, cause: "garbage", tries: 1, at: Timestamp(milliseconds: 0), message: long))
        #expect(entry.line.count < GenerationEntry.messageBytesMax + 50 && entry.line.filter { $0 == 0x0A }.count == 1)
    }

    @Test func aFingerprintSeesWhatIsAskedAndNotHowOften() {
        let form = { GenerationFingerprint.form(spec: $0, dataset: "d", model: "m") }
        #expect(form(["samples": 2, "chunks": 3, "limit": 5, "concurrency": 8]) == form(["seeds": "0..7"]))
        #expect(form(["samples": 2]) != form([:]))
        #expect(form(["samples": 2]) == form(["temperature": 0.7, "top_p": 0.95]))
        #expect(form(["prompt": ["user": "a"]]) != form(["prompt": ["user": "b"]]))
        #expect(form(["server": ["url": "http://a", "model": "x"]]) == form(["server": ["url": "http://b", "model": "x"]]))
        let nameless = { GenerationFingerprint.form(spec: $0, dataset: "d", model: "") }
        #expect(nameless(["server": ["url": "http://a"]]) != nameless(["server": ["url": "http://b"]]))
    }
}
