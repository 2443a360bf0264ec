import JSON
import Testing

@testable import Datasets

@Suite struct DatasetProfileTests {
    @Test func aDatasetIsDescribed() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file(
            "data.jsonl",
            """
            \u{FEFF}{"input": "abc", "output": "1", "meta": {"source": "x"}}

            {"output": "1", "input": "abc", "meta": {"source": "x"}}
            {"input": "é", "output": "2", "tags": ["a", 1]}
            {"input": "", "output": "2"}
            """)
        let profile = try DatasetProfile.of(path: path, rows: 4, samples: 2)
        #expect(profile.rows == 4 && profile.duplicates == 1)
        #expect(profile.characters.least == 1 && profile.characters.greatest == 5 && profile.characters.mean == 14.0 / 4)
        #expect(profile.characters.buckets == [0, 1, 1, 2])
        #expect(profile.characters.quantiles([0.5, 0.75, 1]) == [3, 5, 5])
        #expect(profile.words.least == 1 && profile.words.greatest == 3)
        #expect(profile.labels == [.init(value: "1", count: 2), .init(value: "2", count: 2)] && profile.labelMember == "output")
        #expect(
            profile.fields == [
                .init(path: "input", types: ["string"], records: 4), .init(path: "meta", types: ["object"], records: 2),
                .init(path: "meta.source", types: ["string"], records: 2), .init(path: "output", types: ["string"], records: 4),
                .init(path: "tags", types: ["array"], records: 1), .init(path: "tags[]", types: ["integer", "string"], records: 1),
            ])
        #expect(profile.samples.map(\.line) == [1, 4])
    }

    @Test func longAndManyAnswersAreNoLabels() throws {
        let folder = try TemporaryFolder()
        let long = String(repeating: "x", count: 65)
        let path = try folder.file("a.jsonl", "{\"input\": \"a\", \"output\": \"\(long)\"}\n{\"input\": \"a\", \"output\": \"b\"}\n")
        #expect(try DatasetProfile.of(path: path, rows: 2).labels.isEmpty)
        let many = try folder.file("b.jsonl", (0..<201).map { "{\"input\": \"a\", \"output\": \"\($0)\"}\n" }.joined())
        #expect(try DatasetProfile.of(path: many, rows: 201).labels.isEmpty)
    }

    @Test func aLabelHasItsOwnMember() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file(
            "a.jsonl", (0..<6).map { "{\"input\": \"w\($0) x\", \"output\": \"answer \($0)\", \"label\": \($0 % 2)}\n" }.joined())
        let profile = try DatasetProfile.of(path: path, rows: 6)
        #expect(profile.labelMember == "label" && profile.labels == [.init(value: "0", count: 3), .init(value: "1", count: 3)])
        #expect(profile.words.least == 4 && profile.words.mean == 4)
    }

    @Test func aRecordWithTheSameQuestionIsAChangedOne() throws {
        let folder = try TemporaryFolder()
        let older = try folder.file(
            "a.jsonl", "{\"id\": 1, \"input\": \"a\"}\n{\"id\": 2, \"input\": \"b\"}\n{\"input\": \"c\", \"output\": \"1\"}\n")
        let newer = try folder.file(
            "b.jsonl", "{\"input\": \"c\", \"output\": \"2\"}\n{\"id\": 3, \"input\": \"b\"}\n{\"id\": 1, \"input\": \"a!\"}\n")
        let diff = try DatasetDiff.of(from: older, to: newer)
        #expect([diff.common, diff.changed, diff.added, diff.removed] == [0, 2, 1, 1])
        #expect(diff.changedSamples.map { [$0.from.line, $0.to.line] } == [[3, 1], [1, 3]])
        #expect(diff.addedSamples.map(\.line) == [2] && diff.removedSamples.map(\.line) == [2])
    }

    @Test func whatTellsTwoDatasetsApart() throws {
        let folder = try TemporaryFolder()
        let older = try folder.file("a.jsonl", "{\"a\": 1, \"b\": 2}\n{\"a\": 2}\n{\"a\": 2}\n{\"a\": 3}\n")
        let newer = try folder.file("b.jsonl", "{\"a\": 4}\n{\"b\": 2, \"a\": 1}\n{\"a\": 2}\n")
        let diff = try DatasetDiff.of(from: older, to: newer)
        #expect([diff.common, diff.added, diff.removed] == [2, 1, 2])
        #expect(diff.addedSamples.map(\.line) == [1])
        // Of two equal records one is common, and it is the later that counts as removed or the earlier: the records are the same.
        #expect(diff.removedSamples.map(\.record) == [["a": 2], ["a": 3]])
        let same = try DatasetDiff.of(from: older, to: older)
        #expect([same.common, same.added, same.removed] == [4, 0, 0])
    }
}
