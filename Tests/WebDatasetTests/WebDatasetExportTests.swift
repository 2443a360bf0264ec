import Datasets
import Foundation
import JSON
import Testing

@testable import WebDataset

@Suite struct WebDatasetExportTests {
    private func options(
        samplesPerShard: Int = 4, seed: Int? = nil, keys: WebDatasetOptions.Keys = .unique, imageless: WebDatasetOptions.Imageless = .refuse
    ) -> WebDatasetOptions {
        WebDatasetOptions(
            samplesPerShard: samplesPerShard, seed: seed, ratios: .init(train: 1, validation: 1, test: 0), keys: keys, imageless: imageless)
    }

    private func issues(_ bench: Workbench, _ options: WebDatasetOptions) -> [String] {
        let error = #expect(throws: DatasetError.self) { try bench.export(options) }
        #expect(error?.code == .badData)
        #expect(!FileManager.default.fileExists(atPath: bench.output))
        #expect(!FileManager.default.fileExists(atPath: bench.output + ".partial"))
        return error?.issues.map(\.description) ?? []
    }

    @Test func pythonReadsWhatWasWritten() throws {
        let bench = try Workbench()
        try bench.records(10)
        let result = try bench.export(options())
        let found = try bench.check()
        #expect(found["counts"] == ["instruction-000000.tar": 4, "instruction-000001.tar": 4, "instruction-000002.tar": 2])
        #expect(found["heads"] == [[0o444, 0, 0, "", "", 0, "0"]])
        #expect(
            found["split"] == [
                "train": ["instruction-000000.tar"], "val": ["instruction-000001.tar", "instruction-000002.tar"], "test": [],
            ])
        #expect(found["indexes"] == ["idx_sample_parts_full", "idx_sample_parts_seq", "idx_samples_by_tar_and_idx"])
        #expect(UUID(uuidString: found["uuid"]?.string ?? "") != nil)
        let first = found["loaded"]?[0]
        #expect(first?["key"] == "img-0" && first?["image"] == "000")
        #expect(first?["context"] == ["<image>\n何が見えますか？ 0", "色は？"])
        #expect(first?["answers"] == ["猫 0", "黒"])
        #expect(result.samples == 10 && result.parts == ["jpg", "json"] && result.withoutImageToken == 0)
        #expect(result.samples(of: "train") == 4 && result.samples(of: "val") == 6 && result.samples(of: "test") == 0)
        #expect(result.shards.map(\.samples) == [4, 4, 2])
        #expect(result.shards[0].sha256 == (try ContentHash.sha256(ofFile: bench.output + "/instruction-000000.tar")))
    }

    @Test func shardsAreListedAndSplitAsEnergonDoesWhenAsked() throws {
        let bench = try Workbench()
        try bench.records(11)
        let byText = ["instruction-0.tar", "instruction-1.tar", "instruction-10.tar"] + (2...9).map { "instruction-\($0).tar" }
        var options = WebDatasetOptions.seedArticle
        options.samplesPerShard = 1
        options.ratios = .init(train: 0.9, validation: 0.1, test: 0)
        #expect(try bench.export(options).split.parts[1].shards == ["instruction-8.tar", "instruction-9.tar"])
        #expect(try bench.check()["counts"]?.object?.keys.elements == byText)

        options.shardOrder = .shuffled(seed: 42)
        let shuffled = try bench.export(options).split.parts
        // random.Random(42).shuffle of the list above.
        let expected = [7, 3, 2, 8, 5, 6, 9, 4, 0, 1, 10]
        #expect(shuffled[0].shards + shuffled[1].shards == expected.map { byText[$0] })
        #expect(try bench.check()["counts"]?.object?.keys.elements == byText)

        options.shardOrder = .number
        #expect(try bench.export(options).split.parts[1].shards == ["instruction-9.tar", "instruction-10.tar"])
        #expect(try bench.check()["counts"]?.object?.keys.last == "instruction-10.tar")
    }

    @Test func theTypeOfSamplesIsDeclared() throws {
        let bench = try Workbench()
        try bench.records(2)
        try bench.export()
        let expected = """
            sample_type:
              __module__: megatron.energon
              __class__: VQASample
            sample_loader: sample_loader.py:sample_loader
            part_filter: sample_loader.py:part_filter

            """
        #expect(try bench.check()["dataset"]?.string == expected)
    }

    @Test func theJSONPartHasTheConversationsAsPythonWritesThem() throws {
        let bench = try Workbench()
        try bench.records(1)
        try bench.export()
        let shard = try bench.bytes("shards/instruction-000000.tar")
        let expected = #"[{"from": "human", "value": "<image>\n何が見えますか？ 0"}, {"from": "gpt", "value": "猫 0"}, "#
        #expect(shard.range(of: Data(expected.utf8)) != nil)
    }

    @Test func theSeedAloneDecidesTheOrder() throws {
        let bench = try Workbench()
        try bench.records(12)
        try bench.export(options(seed: 42), to: bench.path + "/first")
        try bench.export(options(seed: 42), to: bench.path + "/second")
        try bench.export(options(seed: 43), to: bench.path + "/third")
        let first = try bench.tree(bench.path + "/first")
        #expect(first.count == 3 * 2 + 7)
        #expect(try bench.tree(bench.path + "/second") == first)
        #expect(try bench.tree(bench.path + "/third") != first)
        try bench.export(options(seed: 42))
        let keys = try bench.check()["loaded"]?.array?.compactMap { $0["key"]?.string } ?? []
        #expect(keys != (0..<12).map { "img-\($0)" })
        #expect(keys.sorted() == (0..<12).map { "img-\($0)" }.sorted())
    }

    @Test func aShardIsClosedBeforeItGrowsTooLarge() throws {
        let bench = try Workbench()
        try bench.records(6, imageBytes: { $0 == 3 ? 50_000 : 3000 })
        // A sample of 3,000 bytes takes 512 + 3,072 for the image and 1,024 for the text.
        var options = options(samplesPerShard: 100)
        options.shardBytes = TarWriter.recordBytes
        options.ratios = .init(train: 1, validation: 0, test: 0)
        let result = try bench.export(options)
        #expect(result.shards.map(\.samples) == [2, 1, 1, 2])
        #expect(result.shards.map { $0.bytes <= Int64(TarWriter.recordBytes) } == [true, true, false, true])
        _ = try bench.check()
    }

    @Test func imagesOfSeveralKindsAreLoaded() throws {
        let bench = try Workbench()
        try bench.write("images/a.PNG", "png")
        try bench.write("images/b.jpeg", "jpg")
        try bench.write(
            "records.jsonl", [Workbench.record(1, image: "a.PNG"), Workbench.record(2, image: "b.jpeg")].joined(separator: "\n"))
        #expect(try bench.export().parts == ["jpg", "json", "png"])
        #expect(try bench.check()["loaded"]?.array?.map { $0["image"] } == ["png", "jpg"])
    }

    @Test func equalIdentifiersGetKeysOfTheirOwn() throws {
        let bench = try Workbench()
        try bench.write("images/a.jpg", "x")
        let identifiers = [#""a""#, #""a-2""#, #""a""#, #""a""#, #""x.y/z 猫""#, "7", "null"]
        let lines = identifiers.map { Workbench.record(0, image: "a.jpg").replacingOccurrences(of: #""img-0""#, with: $0) }
        try bench.write("records.jsonl", lines.joined(separator: "\n"))
        try bench.export()
        #expect(try bench.check()["keys"]?["instruction-000000.tar"] == ["a", "a-2", "a-3", "a-4", "x_y_z__", "7", "record-7"])
    }

    @Test func identifiersThatAreNoKeysAreRefusedWhenTheyMustBe() throws {
        let bench = try Workbench()
        try bench.write("images/a.jpg", "x")
        let long = String(repeating: "k", count: SampleKeys.keyBytesMax)
        let identifiers = ["a", "a", "b.c", "d/e", "f g", long, long + "k"]
        let lines = identifiers.map { Workbench.record(0, image: "a.jpg").replacingOccurrences(of: "img-0", with: $0) }
        try bench.write("records.jsonl", lines.joined(separator: "\n"))
        let found = issues(bench, options(keys: .identifier))
        #expect(found.map { $0.prefix(6) } == ["line 2", "line 3", "line 4", "line 5", "line 7"])
        #expect(issues(bench, options()).count == 1)
    }

    @Test func everyBadRecordIsNamed() throws {
        let bench = try Workbench()
        try bench.records(1)
        try bench.write("images/empty.jpg", "")
        let good = Workbench.record(0)
        let lines = [
            good, "{", "[1]", good.replacingOccurrences(of: "coco/0.jpg", with: "../secret.jpg"),
            good.replacingOccurrences(of: "coco/0.jpg", with: "/etc/passwd"),
            good.replacingOccurrences(of: "coco/0.jpg", with: "coco/none.jpg"),
            good.replacingOccurrences(of: "coco/0.jpg", with: "empty.jpg"), good.replacingOccurrences(of: "coco/0.jpg", with: "a.gif"),
            good.replacingOccurrences(of: "\"gpt\"", with: "\"bot\""), #"{"id":"a","image":"coco/0.jpg","conversations":[]}"#,
            #"{"id":"a","image":"coco/0.jpg","conversations":[{"from":"human","value":1}]}"#,
            good.replacingOccurrences(of: "\"image\"", with: "\"img\""),
            good.replacingOccurrences(of: "\"img-0\"", with: "[1]"), "", good.replacingOccurrences(of: "coco/0.jpg", with: "coco"),
        ]
        try bench.write("records.jsonl", lines.joined(separator: "\n"))
        let found = issues(bench, options())
        let places = [
            "line 2:", "line 3:", "line 4, /image", "line 5, /image", "line 6, /image", "line 7, /image", "line 8, /image",
            "line 9, /conversations/1/from", "line 9, /conversations/3/from", "line 10, /conversations", "line 11, /conversations/0/value",
            "line 11, /conversations", "line 12, /image", "line 13, /id", "line 15, /image",
        ]
        #expect(found.count == places.count)
        for (issue, place) in zip(found, places) { #expect(issue.hasPrefix(place), "\(issue)") }
    }

    @Test func recordsWithoutAnImageAreDroppedWhenAsked() throws {
        let bench = try Workbench()
        try bench.records(4)
        let text = String(decoding: try bench.bytes("records.jsonl"), as: UTF8.self)
        try bench.write("records.jsonl", text.replacingOccurrences(of: #""image":"coco/1.jpg","#, with: ""))
        #expect(issues(bench, options()) == ["line 2, /image: is missing"])
        let result = try bench.export(options(samplesPerShard: 2, imageless: .drop))
        #expect(result.samples == 3 && result.dropped == 1)
    }

    @Test func anImageOverTheLimitIsRefused() throws {
        let bench = try Workbench()
        try bench.records(2)
        let handle = try #require(FileHandle(forWritingAtPath: bench.path + "/images/coco/1.jpg"))
        try handle.truncate(atOffset: UInt64(ConversationRecord.imageBytesMax + 1))
        #expect(issues(bench, options(samplesPerShard: 1)).first?.hasPrefix("line 2, /image") == true)
        try handle.truncate(atOffset: UInt64(ConversationRecord.imageBytesMax))
        #expect(ConversationRecord.complaint(aboutFile: bench.path + "/images/coco/1.jpg") == nil)
    }

    @Test func whatAnEarlierAttemptLeftIsReplaced() throws {
        let bench = try Workbench()
        try bench.records(3)
        try FileManager.default.createDirectory(atPath: bench.output + ".partial/deep", withIntermediateDirectories: true)
        try bench.write("shards.partial/deep/file", "left over")
        try bench.export()
        let first = try bench.tree(bench.output)
        try bench.export()
        #expect(try bench.tree(bench.output) == first)
        #expect(!FileManager.default.fileExists(atPath: bench.output + ".partial"))
    }

    @Test func aFolderOfSomethingElseIsNotReplaced() throws {
        let bench = try Workbench()
        try bench.records(3)
        try FileManager.default.createDirectory(atPath: bench.output, withIntermediateDirectories: true)
        try bench.write("shards/precious", "data")
        #expect(throws: FileError.self) { try bench.export() }
        #expect(try bench.bytes("shards/precious") == Data("data".utf8))
    }

    @Test func anInterruptedExportLeavesNothing() throws {
        let bench = try Workbench()
        try bench.records(3)
        let export = WebDatasetExport(records: bench.path + "/records.jsonl", images: bench.path + "/images", options: options())
        #expect(throws: CancellationError.self) {
            try export.run(folder: bench.output) { done, total in
                #expect(total == 3)
                if done == 2 { throw CancellationError() }
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.path).sorted() == ["images", "records.jsonl"])
    }
}
