import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct PreparationTests {
    private let wholeSplit = DatasetSplit(
        parts: [.init(name: "train", size: .fraction(0.9)), .init(name: "validation", size: .fraction(0.1))], seed: 42)

    private func questions(_ count: Int, label: (Int) -> Int) -> String {
        (0..<count).map { index in
            let choices = zip(0..<5, "abcde").map { "\"choice\($0)\": \"\(index)\($1)\"" }.joined(separator: ", ")
            return "{\"jcqa_data\": {\"question\": \"q\(index)\", \(choices), \"answer_index\": \(label(index))}, \"extra\": 1}\n"
        }.joined()
    }

    private func run(_ preparation: Preparation, in folder: TemporaryFolder) throws -> (result: Preparation.Result, log: [String]) {
        var log: [String] = []
        let result = try preparation.run(folder: folder.path, log: { log.append($0) })
        return (result, log)
    }

    @Test func sevenQuestionsAreRebalancedAndSplitAsTheOriginalDoes() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in.jsonl", questions(7) { $0 % 2 })
        let steps: [PreparationStep] = [.rebalanceJCQA(seed: 42), .convertJCQA, .split(wholeSplit)]
        let (_, log) = try run(Preparation(source: .files([path]), steps: steps, isOriginal: true), in: folder)
        #expect(log.contains("target counts: {'0': 2, '1': 2, '2': 1, '3': 1, '4': 1}"))
        #expect(log.contains("label counts before rebalancing: {'0': 4, '1': 3}"))
        let expected = [
            "q1": ["1c,1b,1e,1d,1a", "1"], "q3": ["3c,3d,3a,3e,3b", "4"], "q4": ["4a,4e,4d,4b,4c", "0"], "q2": ["2d,2a,2c,2b,2e", "1"],
            "q6": ["6c,6e,6b,6a,6d", "3"], "q0": ["0e,0b,0a,0c,0d", "2"], "q5": ["5b,5c,5e,5a,5d", "0"],
        ]
        func describe(_ line: String) throws -> (name: String, choices: String, label: String) {
            let record = try JSONParser.parse(line)
            let prompt = record["messages"]?[0]?["content"]?.string ?? ""
            let lines = prompt.split(separator: "\n").map(String.init)
            let choices = lines.filter { $0.hasPrefix("    ") }.map { String($0.dropFirst(7)) }
            return (lines[2], choices.joined(separator: ","), record["extra_env_info"]?["ground_truth"]?.string ?? "")
        }
        let train = try folder.lines("train.jsonl").map(describe)
        let validation = try folder.lines("validation.jsonl").map(describe)
        #expect(train.map(\.name) == ["q1", "q3", "q4", "q2", "q6", "q0"])
        #expect(validation.map(\.name) == ["q5"])
        for record in train + validation { #expect(expected[record.name] == [record.choices, record.label]) }
    }

    @Test(.enabled(if: SharedData.questions != nil, "needs ../shared/data/jcommonsenseqa"))
    func theCompatibilityModeWritesTheReferencesBytes() throws {
        let folder = try TemporaryFolder()
        let path = try wrappedQuestions(in: folder)
        let steps: [PreparationStep] = [.rebalanceJCQA(seed: 42), .convertJCQA, .split(wholeSplit)]
        let (result, log) = try run(Preparation(source: .files([path]), steps: steps, isOriginal: true), in: folder)
        let reference = try TemporaryFolder()
        try Reference.run("prepare", path, reference.path)
        #expect(try folder.bytes("train.jsonl") == reference.bytes("train.jsonl"))
        #expect(try folder.bytes("validation.jsonl") == reference.bytes("validation.jsonl"))
        #expect(result.outputs.map(\.file.rows) == [8045, 894])
        let counts = try labelCounts(folder, "validation.jsonl")
        #expect(counts == [159, 116, 203, 185, 231])
        #expect(log.contains("split: train 8045, validation 894"))
    }

    @Test(.enabled(if: SharedData.questions != nil, "needs ../shared/data/jcommonsenseqa"), arguments: [0, 42])
    func labelsAreBalancedInBothPartsByDefault(seed: Int) throws {
        let folder = try TemporaryFolder()
        let path = try wrappedQuestions(in: folder, limit: 2003)
        var split = wholeSplit
        split.seed = seed
        let steps: [PreparationStep] = [.rebalanceJCQA(seed: seed), .convertJCQA, .split(split)]
        _ = try run(Preparation(source: .files([path]), steps: steps), in: folder)
        for name in ["train.jsonl", "validation.jsonl"] {
            let counts = try labelCounts(folder, name)
            let mean = Double(counts.reduce(0, +)) / 5
            let chiSquare = counts.map { (Double($0) - mean) * (Double($0) - mean) / mean }.reduce(0, +)
            #expect(chiSquare < 0.1, "\(name): \(counts)")
        }
    }

    private func wrappedQuestions(in folder: TemporaryFolder, limit: Int = .max) throws -> String {
        let source = try #require(SharedData.questions)
        var text: [UInt8] = []
        try JSONLineReader(path: source).read { line in
            guard line.number <= limit, case .object(var record) = try JSONParser.parse(line.bytes) else { return }
            record["answer_index"] = record["label"]
            record["label"] = nil
            record["q_id"] = nil
            JSONWriter(layout: .python).append(["jcqa_data": .object(record)], to: &text)
            text.append(0x0A)
        }
        return try folder.file("with_seed_data.jsonl", text)
    }

    private func labelCounts(_ folder: TemporaryFolder, _ name: String) throws -> [Int] {
        var counts = [0, 0, 0, 0, 0]
        for line in try folder.lines(name) {
            let label = try #require(try JSONParser.parse(line)["extra_env_info"]?["ground_truth"]?.string)
            counts[try #require(Int(label))] += 1
        }
        return counts
    }

    @Test func unusableQuestionsAreReportedAndLeftOut() throws {
        let folder = try TemporaryFolder()
        let good = questions(10) { $0 % 5 }
        let bad = [
            "5", "{\"jcqa_data\": null}", "{\"other\": 1}", "broken", "[]",
            questions(1) { _ in 7 }.dropLast().description, questions(1) { _ in -1 }.dropLast().description,
            "{\"jcqa_data\": {\"question\": \"q\", \"choice0\": \"a\", \"answer_index\": 0}}",
        ]
        let path = try folder.file("in.jsonl", bad.joined(separator: "\n") + "\n" + good)
        let steps: [PreparationStep] = [.rebalanceJCQA(seed: 42), .convertJCQA]
        let (result, log) = try run(Preparation(source: .files([path]), steps: steps), in: folder)
        #expect(result.outputs.first?.file.rows == 10)
        let places = result.issues.first.map { "\($0.line)\($0.pointer)" }
        #expect(
            places == [
                "1", "2/jcqa_data", "4", "5", "6/jcqa_data/answer_index", "7/jcqa_data/answer_index", "8/jcqa_data/choice1",
                "8/jcqa_data/choice2",
                "8/jcqa_data/choice3", "8/jcqa_data/choice4",
            ])
        #expect(log.contains("label counts after rebalancing: {'0': 2, '1': 2, '2': 2, '3': 2, '4': 2}"))
        #expect(throws: DatasetError.self) {
            _ = try run(Preparation(source: .files([path]), steps: steps, isOriginal: true), in: folder)
        }
    }

    @Test func aBrokenRecordOfAnotherFormatRefusesTheFile() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in.jsonl", "{\"input\": \"a\", \"output\": \"b\"}\n{\"input\": \"a\", \"output\": 3}\n{\"input\"\n")
        let error = try #require(throws: DatasetError.self) { _ = try run(Preparation(source: .files([path])), in: folder) }
        #expect(error.code == .badData)
        #expect(error.issues.map { "\($0.line)\($0.pointer)" } == ["2/output", "3"])
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/dataset.jsonl"))
    }

    @Test(arguments: ["", "\n\n", "{\"x\": 1}\n", "17", "{\"input\": 1, \"output\": 2, \"messages\": []}"])
    func aFileWithoutUsableRecordsIsRefused(text: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in.jsonl", text)
        let error = try #require(throws: DatasetError.self) { _ = try run(Preparation(source: .files([path])), in: folder) }
        #expect(error.code == .badData)
    }

    @Test func theSearchForAFormatEndsAtItsLimit() throws {
        let folder = try TemporaryFolder()
        let good =
            "{\"jcqa_data\": {\"question\": \"q\", \"choice0\": \"a\", \"choice1\": \"b\", \"choice2\": \"c\", \"choice3\": \"d\", "
            + "\"choice4\": \"e\", \"answer_index\": 1}}"
        let others = String(repeating: "{\"x\": 1}\n", count: FileRecords.detectionRecordsMax - 1)
        let atLimit = try folder.file("1.jsonl", others + good)
        #expect(try run(Preparation(source: .files([atLimit])), in: folder).result.outputs.first?.file.rows == 1)
        let past = try folder.file("2.jsonl", others + "{\"x\": 1}\n" + good)
        let error = try #require(throws: DatasetError.self) { _ = try run(Preparation(source: .files([past])), in: folder) }
        #expect(error.message.contains("no record of a known format"))
    }

    @Test func workEndsWhereItsProgressThrows() throws {
        struct Stop: Error {}
        let folder = try TemporaryFolder()
        let path = try folder.file("in.jsonl", "{\"input\": \"a\", \"output\": \"b\"}\n")
        #expect(throws: Stop.self) {
            _ = try Preparation(source: .files([path])).run(folder: folder.path, log: { _ in }, progress: { _ in throw Stop() })
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["in.jsonl"])
    }

    @Test func inputAndOutputBecomeMessagesAndOtherMembersStay() throws {
        let folder = try TemporaryFolder()
        let first = try folder.file("1.jsonl", "{\"input\": \"a\", \"output\": \"b\", \"id\": 1.50}\n")
        let second = try folder.file("2.jsonl", "{\"input\": \"c\", \"output\": \"d\"}")
        let (result, _) = try run(Preparation(source: .files([first, second]), steps: [.toMessages(system: "s")]), in: folder)
        #expect(result.outputs.map(\.format) == [.messages])
        #expect(
            try folder.lines("dataset.jsonl") == [
                #"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "id": 1.5}"#,
                #"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#,
            ])
    }

    @Test func theGeneratorMakesQuestionsWithKnownAnswers() throws {
        let folder = try TemporaryFolder()
        let generator = ToyGenerator.timesTen(TimesTenGenerator(count: 3, start: 5, step: 2, format: .preference))
        let (result, _) = try run(Preparation(source: .generator(generator)), in: folder)
        #expect(
            try folder.lines("dataset.jsonl").first
                == #"{"prompt": "5*10=?", "chosen_response": "50", "rejected_response": "I cannot answer that question."}"#)
        let facts = try DatasetInspection.inspect(path: folder.path + "/dataset.jsonl")
        #expect(facts.format == .preference && facts.rows == 3 && facts.errorCount == 0)
        #expect(facts.sha256 == result.outputs.first?.file.sha256)
        #expect(facts.bytes == result.outputs.first?.file.bytes)
        #expect(!TimesTenGenerator(count: 2, start: Int.max - 1).isRepresentable)
        #expect(TimesTenGenerator(count: 200).isRepresentable)
    }

    @Test func shuffleSampleAndSplitKeepEachRecordOnce() throws {
        let folder = try TemporaryFolder()
        let split = DatasetSplit(
            parts: [
                .init(name: "train", size: .fraction(0.7)), .init(name: "validation", size: .fraction(0.2)),
                .init(name: "test", size: .fraction(0.1)),
            ],
            seed: 1)
        let generator = ToyGenerator.timesTen(TimesTenGenerator(count: 1000, format: .inputOutput))
        let steps: [PreparationStep] = [.shuffle(seed: 1), .sample(count: 500, seed: 1), .split(split)]
        let (result, _) = try run(Preparation(source: .generator(generator), steps: steps), in: folder)
        #expect(result.outputs.map(\.file.rows) == [350, 100, 50])
        let lines = try ["train.jsonl", "validation.jsonl", "test.jsonl"].flatMap { try folder.lines($0) }
        #expect(Set(lines).count == 500)
    }

    @Test(arguments: [(1, 0.9), (0, 0.5)])
    func aSplitThatLeavesAPartEmptyIsRefused(count: Int, share: Double) throws {
        let split = DatasetSplit(
            parts: [.init(name: "train", size: .fraction(share)), .init(name: "validation", size: .fraction(1 - share))], seed: 0)
        #expect(throws: DatasetError.self) { try split.indexes(count: count, labels: nil) }
    }

    @Test func aSplitByCountsAsksForNoMoreThanThereIs() throws {
        let split = DatasetSplit(parts: [.init(name: "train", size: .count(8)), .init(name: "validation", size: .count(2))], seed: 0)
        #expect(try split.indexes(count: 10, labels: nil).map(\.count) == [8, 2])
        #expect(throws: DatasetError.self) { try split.indexes(count: 9, labels: nil) }
    }

    @Test(arguments: [
        [PreparationStep.split(DatasetSplit(parts: [], seed: 0)), .shuffle(seed: 0)], [.shuffle(seed: 1), .rebalanceJCQA(seed: 1)],
        [.toMessages(system: nil)],
    ])
    func stepsThatDoNotGoTogetherAreRefused(steps: [PreparationStep]) {
        #expect(Preparation(source: .files(["x"]), steps: steps, isOriginal: true).contradiction != nil)
    }
}
