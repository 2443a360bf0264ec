import Datasets
import Testing

@testable import WebDataset

@Suite struct EnergonSplitTests {
    /// S1's shards: sixteen of 10,000 samples, the last of 6,304.
    private static let shards = (0..<16).map { "instruction-\($0).tar" }

    @Test func theArticlesSplitComesFromTheOrderOfText() throws {
        let split = try EnergonSplit(shards: Self.shards.sorted(), ratios: .init(train: 0.95, validation: 0.05, test: 0))
        #expect(split.parts.map(\.name) == ["train", "val", "test"])
        #expect(split.parts[1].shards == ["instruction-9.tar"])
        #expect(split.parts[2].shards == [])
        let samples = split.parts[0].shards.reduce(0) { $0 + ($1 == "instruction-15.tar" ? 6304 : 10_000) }
        #expect(samples == 1143 * 128)
    }

    @Test func theOrderOfNumbersGivesTheLastShardToTheLastPart() throws {
        let split = try EnergonSplit(shards: Self.shards, ratios: .init(train: 95, validation: 5, test: 0))
        #expect(split.parts[1].shards == ["instruction-15.tar"])
    }

    @Test func noShardIsLostToRounding() throws {
        let split = try EnergonSplit(shards: (0..<10).map { "s-\($0).tar" }, ratios: .init(train: 0.7, validation: 0.2, test: 0.1))
        #expect(split.parts.reduce(0) { $0 + $1.shards.count } == 10)
        #expect(split.parts[2].shards.last == "s-9.tar")
    }

    @Test func aPartWithoutShardsIsRefused() {
        let error = #expect(throws: DatasetError.self) {
            try EnergonSplit(shards: ["a.tar"], ratios: .init(train: 0.95, validation: 0.05, test: 0))
        }
        #expect(error?.code == .badData)
        #expect(error?.message.contains("without shards") == true)
    }

    @Test(arguments: [(0, 1, 0), (-1, 1, 1), (.infinity, 1, 1), (1, .nan, 0)] as [(Double, Double, Double)])
    func sharesMustBeNumbersOfAtLeastNought(shares: (Double, Double, Double)) {
        let error = #expect(throws: DatasetError.self) {
            try EnergonSplit(shards: ["a.tar"], ratios: .init(train: shares.0, validation: shares.1, test: shares.2))
        }
        #expect(error?.code == .badRequest)
    }

    @Test func theFileHasEveryPart() throws {
        let split = try EnergonSplit(shards: ["a.tar", "b.tar"], ratios: .init(train: 1, validation: 1, test: 0))
        #expect(split.yaml == "exclude: []\nsplit_parts:\n  train:\n  - a.tar\n  val:\n  - b.tar\n  test: []\n")
    }
}

@Suite struct WebDatasetOptionsTests {
    @Test func namesFollowThePattern() throws {
        #expect(try ShardPattern("instruction-%d.tar").name(10) == "instruction-10.tar")
        #expect(try ShardPattern("a%03d-b.tar").name(7) == "a007-b.tar")
        #expect(try ShardPattern("a%03d-b.tar").name(1234) == "a1234-b.tar")
        #expect(WebDatasetOptions.seedArticle.shardOrder == .text)
    }

    @Test(arguments: ["a.tar", "a%d", "%d.tar", "a%d%d.tar", "a/%d.tar", "a%5d.tar", "a%x.tar", "a{%d}.tar", "", "a%00d.tar"])
    func otherPatternsAreRefused(pattern: String) {
        let error = #expect(throws: DatasetError.self) { try WebDatasetOptions(shardPattern: pattern).check() }
        #expect(error?.code == .badRequest)
    }

    @Test func sizesHaveLimits() {
        for (samples, bytes) in [
            (0, 20_000), (WebDatasetOptions.samplesPerShardLimit + 1, 20_000), (1, TarWriter.recordBytes - 1),
            (1, WebDatasetOptions.shardBytesLimit + 1),
        ] {
            #expect(throws: DatasetError.self) { try WebDatasetOptions(samplesPerShard: samples, shardBytes: bytes).check() }
        }
        #expect(throws: Never.self) {
            try WebDatasetOptions(samplesPerShard: WebDatasetOptions.samplesPerShardLimit, shardBytes: WebDatasetOptions.shardBytesLimit)
                .check()
        }
    }
}
