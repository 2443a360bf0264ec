import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct DeduplicationTests {
    @Test func equalRecordsStayOnceWhateverTheOrderOfTheirKeys() throws {
        let records: [JSONValue] = [["a": 1, "b": "x"], ["b": "x", "a": 1], ["a": 2, "b": "x"], ["a": 1, "b": "x"]]
        let whole = try StepRun(records, .dedupe(Deduplication()))
        #expect(whole.records.count == 2 && whole.dropped(1) == ["duplicate": 2])
        #expect(try StepRun(records, .dedupe(Deduplication(keys: ["b"]))).records == [records[0]])
        #expect(throws: DatasetError.self) { try StepRun(records, .dedupe(Deduplication(keys: ["none"]))) }
    }

    @Test func bordersOfMembersCount() throws {
        let records: [JSONValue] = [["a": "xy", "b": "z"], ["a": "x", "b": "yz"]]
        #expect(try StepRun(records, .dedupe(Deduplication(keys: ["a", "b"]))).records.count == 2)
    }

    private func words(_ count: Int, _ random: inout MersenneTwister) -> [String] { (0..<count).map { _ in "w\(random.below(100_000))" } }

    @Test func nearlyEqualTextsAreFoundAndOthersStay() throws {
        var random = MersenneTwister(seed: 4)
        var records: [JSONValue] = []
        for index in 0..<200 {
            let text = words(200, &random)
            var copy = text
            copy[100] = "changed"
            records.append(["id": .int(Int64(index)), "text": .string(text.joined(separator: " "))])
            records.append(["id": .int(Int64(-index)), "text": .string(copy.joined(separator: ",  ").uppercased())])
        }
        let run = try StepRun(records, .dedupe(Deduplication(method: .near, keys: ["text"], threshold: 0.8)))
        // Of runs of five words 191 of 201 are common: a similarity of 0.95.
        #expect(run.records.map { $0["id"] } == (0..<200).map { .int(Int64($0)) })
        #expect(run.dropped(1) == ["near_duplicate": 200])
    }

    @Test func theEstimateIsCloseToTheSimilarity() {
        var random = MersenneTwister(seed: 8)
        let minHash = MinHash(permutations: 256, threshold: 0.5, seed: 1)
        for common in [0, 100, 300, 500, 900] {
            let shared = (0..<common).map { _ in random.bits(64) }
            let own = (0..<2).map { _ in (0..<((1000 - common) / 2)).map { _ in random.bits(64) } }
            let first = minHash.signature(of: shared + own[0])
            let second = minHash.signature(of: shared + own[1])
            let truth = Double(common) / 1000
            // Four standard errors of 256 draws.
            #expect(abs(MinHash.similarity(first, second) - truth) <= 4 * (0.25 / 256).squareRoot())
        }
    }

    @Test(arguments: [(128, 0.8), (128, 0.5), (64, 0.9), (16, 0.05), (256, 1.0)])
    func theBandsFindPairsAtTheThreshold(permutations: Int, threshold: Double) {
        let (bands, rows) = MinHash.bestBands(permutations: permutations, threshold: threshold)
        #expect(bands * rows <= permutations && bands > 0)
        let miss = pow(1 - pow(threshold, Double(rows)), Double(bands))
        #expect(miss <= 0.03 || rows == 1)
    }

    @Test func scriptsWithoutSpacesAreComparedByTheCharacter() {
        #expect(TextTokens.hashes(of: "東京は首都").count == 5)
        #expect(TextTokens.hashes(of: "It's  A-test 42!") == TextTokens.hashes(of: "it s a TEST 42"))
        #expect(TextTokens.hashes(of: "Ünïcode ÜNÏCODE").count == 2)
        #expect(Set(TextTokens.hashes(of: "Straße STRASSE straße")).count == 2)
        #expect(TextTokens.hashes(of: " \n…").isEmpty)
        #expect(TextTokens.ngrams(of: [1, 2, 3], length: 2).count == 2 && TextTokens.ngrams(of: [1], length: 2).count == 1)
    }

    @Test func contaminatedRecordsAreLeftOutWithAReport() throws {
        let folder = try TemporaryFolder()
        let sentence = "Natalia sold clips to forty eight of her friends in April and then she sold half as many in May"
        let bench = try folder.file("bench.jsonl", "{\"question\": \"\(sentence)\"}\n{\"question\": \"Short one?\"}\n")
        let records: [JSONValue] = [
            ["problem": .string("Once more: \(sentence.uppercased()), how many?")], ["problem": "short ONE"],
            ["problem": "Natalia sold clips to her friends"], ["messages": [["role": "user", "content": .string(sentence)]]],
        ]
        var settings = Decontamination(benchmarks: [.init(name: "gsm", path: bench)])
        settings.ngram = 8
        let run = try StepRun(records, .decontaminate(settings))
        #expect(run.records == [records[2]])
        let report = try JSONParser.parse(run.folder.bytes("decontamination-1.json"))
        #expect(
            report["contaminated"] == 3 && report["benchmarks"]?[0]?["items_found"] == 2 && report["findings"]?[1]?["benchmark_line"] == 2)
        settings.threshold = 0.9
        #expect(try StepRun(records, .decontaminate(settings)).records.count == 2)
        settings.marks = true
        #expect(try StepRun(records, .decontaminate(settings)).records.map { $0["contaminated"] } == [false, true, false, true])
    }

    @Test func benchmarksWithoutQuestionsAreRefused() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("b.jsonl", "{\"text\": \"a\"}\n")
        let settings = Decontamination(benchmarks: [.init(name: "b", path: path)])
        let error = try #require(throws: DatasetError.self) { try StepRun([["problem": "x"]], .decontaminate(settings)) }
        #expect(error.message == "benchmark 'b': line 1: no question; name its key with 'benchmark_keys'")
    }
}
