import JSON
import Testing

@testable import Datasets

@Suite struct DatasetFormatTests {
    private static let records: [(JSONObject, DatasetFormat.Detection)] = [
        (["prompt": "p"], .format(.prompt)), (["prompt": "p", "chosen": "a", "rejected": "b"], .format(.preference)),
        (["prompt": "p", "generation": "g"], .unknown), (["prompt": "p", "chosen": "a"], .unknown),
        (["text": "t", "label": 1], .format(.text)),
        (["prompt": "p", "text": "t"], .ambiguous("prompt; text")), (["conversations": []], .format(.conversations)),
        (["conversations": [], "messages": []], .ambiguous("messages; conversations")), (["question": "q"], .unknown),
        (["messages": [], "text": "t"], .format(.messages)), (["context": [], "completions": []], .format(.preference)),
    ]

    @Test(arguments: records)
    func theKeysTellTheFormat(record: JSONObject, format: DatasetFormat.Detection) {
        #expect(DatasetFormat.detect(in: record) == format)
    }

    private func problems(_ text: String) throws -> [String] {
        DatasetFormat.conversations.problems(in: try JSONParser.parse(text)).map(\.pointer)
    }

    @Test func conversationsMayBeginWithASystemTurnAndHaveSeveralImages() throws {
        let turns = #"{"from": "human", "value": "<image> and <image>?"}, {"from": "gpt", "value": "cats"}"#
        #expect(try problems(#"{"image": ["a.jpg", "b/c.png"], "conversations": [{"from": "system", "value": "s"}, \#(turns)]}"#) == [])
        #expect(try problems(#"{"image": ["a.jpg", "../c.png"], "conversations": [\#(turns)]}"#) == ["/image/1"])
        #expect(try problems(#"{"image": "a.jpg", "conversations": [\#(turns)]}"#) == ["/conversations/0/value"])
        #expect(try problems(#"{"image": ["a.jpg", 3], "conversations": [\#(turns)]}"#) == ["/image/1"])
        #expect(try problems(#"{"image": ["a.jpg", "b.jpg"], "conversations": [\#(turns), \#(turns)]}"#) == ["/conversations/2/value"])
        #expect(try problems(#"{"id": [], "conversations": {}}"#) == ["/id", "/conversations"])
    }
}
