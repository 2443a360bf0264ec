import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct StreamingTests {
    @Test(arguments: [1, 100, 1 << 20])
    func aSpoolGivesBackWhatItTook(memoryBytesMax: Int) throws {
        let folder = try TemporaryFolder()
        let spool = RecordSpool(folder: folder.path, memoryBytesMax: memoryBytesMax)
        var random = MersenneTwister(seed: 1)
        var starts = [0]
        var all: [UInt8] = []
        for _ in 0..<2000 {
            let piece = (0..<random.below(2000)).map { _ in UInt8(truncatingIfNeeded: random.bits(8)) }
            try spool.append(piece)
            all += piece
            starts.append(all.count)
        }
        #expect(spool.count == all.count && spool.isOnDisk == (all.count >= memoryBytesMax))
        var text: [UInt8] = [1]
        for index in (0..<2000).reversed() {
            try spool.read(starts[index]..<starts[index + 1], into: &text)
            #expect(text == Array(all[starts[index]..<starts[index + 1]]))
        }
        // The file has no name while it lives.
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func theScannerAgreesWithTheParser() throws {
        var random = MersenneTwister(seed: 21)
        let pieces = [
            "{", "}", "\"jcqa_data\"", ":", ",", " ", "\"question\"", "\"q\\n\"", "\"日本\"", "\"answer_index\"", "3", "12", "-1", "null",
            "true",
            "[1, 2]", "\n", "\"choice0\": \"a\"", "\"x\": {\"y\": [\"\\u00e9\", {}]}", "1.5", "\"", "\\",
        ]
        let good =
            "{\"id\": [1, {\"a\": \"b\\n\"}], \"jcqa_data\": {\"question\": \"質問\", \"choice0\": \"a\", \"choice1\": \"b\", "
            + "\"choice2\": \"c\", \"choice3\": \"d\", \"choice4\": \"e\", \"answer_index\": 3}, \"z\": true}"
        var taken = 0
        for round in 0..<20_000 {
            var text = good
            if round > 0 {
                let at = text.index(text.startIndex, offsetBy: random.below(text.count))
                let end = text.index(at, offsetBy: min(random.below(4), text.distance(from: at, to: text.endIndex)))
                text.replaceSubrange(at..<end, with: random.choice(pieces))
            }
            // The loader has passed over white space before.
            guard text.hasPrefix("{") else { continue }
            let bytes = Array(text.utf8) + [0x0A]
            let question = bytes.withUnsafeBufferPointer { QuestionScanner.scan($0, at: 0) }
            guard let question else { continue }
            taken += 1
            let (value, end) = try bytes.withUnsafeBufferPointer { try JSONParser(options: .python).value(in: $0, at: 0) }
            let data = try #require(value["jcqa_data"]?.object)
            #expect(end == question.end && DatasetFormat.jcqa.problems(in: value).isEmpty, "\(text)")
            #expect(data["question"]?.string == String(decoding: bytes[question.question], as: UTF8.self))
            #expect(data["choice3"]?.string == String(decoding: bytes[question.choices.3], as: UTF8.self))
            #expect(data["answer_index"]?.int == Int(question.answer))
        }
        #expect(taken > 1000)
    }

    @Test(arguments: [true, false])
    func theFastWayWritesWhatTheGeneralWayWrites(isOriginal: Bool) throws {
        let folder = try TemporaryFolder()
        var random = MersenneTwister(seed: 33)
        // A question with an escape goes the general way.
        let texts = (0..<300).map { index in
            let question = index % 3 == 0 ? "q\\t\(index)" : "質問\(index)"
            let choices = (0..<5).map { "\"choice\($0)\": \"c\(index)-\($0)\"" }.joined(separator: ", ")
            return
                "{\"jcqa_data\": {\"question\": \"\(question)\", \(choices), \"answer_index\": \(random.below(5))}, \"extra\": {\"a\": [1]}}\n"
        }
        let path = try folder.file("in.jsonl", texts.joined())
        let steps: [PreparationStep] = [.rebalanceJCQA(seed: 42), .convertJCQA]
        let fast = try StepRun(Preparation(source: .files([path]), steps: steps, isOriginal: isOriginal), in: folder)
        // White space that the scanner does not take makes every record general.
        let spaced = try folder.file("spaced.jsonl", texts.map { "{\n" + $0.dropFirst() }.joined())
        let general = try TemporaryFolder()
        let slow = try StepRun(Preparation(source: .files([spaced]), steps: steps, isOriginal: isOriginal), in: general)
        #expect(try folder.bytes("dataset.jsonl") == general.bytes("dataset.jsonl"))
        #expect(fast.records.count == 300 && slow.records.count == 300)
    }

    @Test func rebalancedQuestionsKeepTheirOtherMembers() throws {
        let data: JSONObject = [
            "question": "q", "choice0": "a", "choice1": "b", "choice2": "c", "choice3": "d", "choice4": "e", "answer_index": 4,
        ]
        let run = try StepRun(
            (0..<10).map { ["id": .int(Int64($0)), "jcqa_data": .object(data)] }, format: .jcqa, .rebalanceJCQA(seed: 1), .shuffle(seed: 1))
        #expect(Set(run.records.compactMap { $0["id"]?.int }) == Set(0..<10))
        for record in run.records {
            let index = try #require(record["jcqa_data"]?["answer_index"]?.int)
            #expect(record["jcqa_data"]?["choice\(index)"] == "e")
        }
        let counts = (0..<5).map { label in run.records.count { $0["jcqa_data"]?["answer_index"]?.int == label } }
        #expect(counts == [2, 2, 2, 2, 2])
    }

    @Test func stepsCountWhatTheyTakeAndLeaveOut() throws {
        let records = (0..<100).map { generation("p\($0 % 10)", "g\($0 % 50)", isCorrect: $0 % 2 == 0) }
        let run = try StepRun(
            records, .correctness(CorrectnessSelection()), .dedupe(Deduplication()), .downsample(Downsampling(method: .fair, count: 20)),
            .shuffle(seed: 1),
            .split(DatasetSplit(parts: [.init(name: "train", size: .count(10)), .init(name: "validation", size: .count(5))], seed: 1)))
        #expect(run.result.steps.map(\.recordsIn) == [100, 50, 25, 20, 20])
        #expect(run.result.steps.map(\.recordsOut) == [50, 25, 20, 20, 15])
        #expect(run.result.steps.map(\.droppedTotal) == [50, 25, 5, 0, 5])
        #expect(run.log.contains("correctness: 100 records in, 50 out; left out incorrect 50"))
    }

    @Test func everyRecordIsCountedInEveryStep() throws {
        var random = MersenneTwister(seed: 77)
        for _ in 0..<30 {
            let records = (0..<(1 + random.below(60))).map { _ in
                generation("p\(random.below(8))", "g\(random.below(6)) \\boxed{1}\nx", isCorrect: [true, false, nil][random.below(3)])
            }
            var grade = CorrectnessSelection()
            grade.addUnlabeled = true
            grade.addIncorrect = true
            var passRate = PassRateSelection()
            passRate.discardFrom = nil
            passRate.minSamples = 1
            let steps: [PreparationStep] = [
                .correctness(grade), .filters(SolutionFilters(era: .seed)), .dedupe(Deduplication(keys: ["generation"])), .shuffle(seed: 3),
                .codeText(CodeTextFilter(mode: .anyCode, marker: "g1")),
            ]
            let folder = try TemporaryFolder()
            let path = try folder.file("in", records.map { $0.text(layout: .python) + "\n" }.joined())
            let run = try StepRun(Preparation(source: .files([path]), steps: steps), in: folder)
            for step in run.result.steps { #expect(step.recordsIn == step.recordsOut + step.droppedTotal) }
            for (earlier, later) in zip(run.result.steps, run.result.steps.dropFirst()) { #expect(earlier.recordsOut == later.recordsIn) }
            #expect(run.result.steps.last?.recordsOut == run.records.count)
        }
    }

    @Test func aProgramMayStandBetweenTwoDatasets() throws {
        let records: [JSONValue] = [["input": "a", "output": "b"], ["input": "c", "output": "d"]]
        var asked: ProgramRun?
        let run = try StepRun(records, .command(ProgramStep(arguments: ["upper"]))) { program in
            asked = program
            let text = try String(contentsOfFile: program.inputPath, encoding: .utf8)
            try text.uppercased().replacingOccurrences(of: "INPUT", with: "input").replacingOccurrences(of: "OUTPUT", with: "output")
                .write(toFile: program.outputPath, atomically: true, encoding: .utf8)
        }
        #expect(run.records == [["input": "A", "output": "B"], ["input": "C", "output": "D"]])
        #expect(run.result.outputs.first?.format == .inputOutput && run.result.steps[0].recordsOut == 2)
        #expect(asked?.step.arguments == ["upper"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: run.folder.path).sorted() == ["dataset.jsonl", "in.jsonl"])
        let broken = try #require(throws: DatasetError.self) {
            try StepRun(records, .command(ProgramStep(arguments: ["x"]))) { program in
                try "{\"a\": 1}\n{oops\n".write(toFile: program.outputPath, atomically: true, encoding: .utf8)
            }
        }
        #expect(broken.message.hasPrefix("the output of step 1 (x), line 2: not JSON"))
        let silent = try #require(throws: DatasetError.self) {
            try StepRun(records, .command(ProgramStep(arguments: ["x"]))) { program in
                try "".write(toFile: program.outputPath, atomically: true, encoding: .utf8)
            }
        }
        #expect(silent.message == "step 1 (x) wrote no records")
    }

    @Test func nothingLeftIsAnErrorThatNamesTheStep() throws {
        let error = try #require(throws: DatasetError.self) {
            try StepRun([generation("p", "x", isCorrect: false)], .dedupe(Deduplication()), .correctness(CorrectnessSelection()))
        }
        #expect(error.message == "no record is left; correctness: 1 records in, 0 out; left out incorrect 1")
    }

    private static let foreign: [([UInt8], String)] = [
        ([0xFF, 0xFE, 0x7B, 0x00], "is text in UTF-16"), (Array("{\0\"\0a".utf8), "UTF-16 without"), ([0x1F, 0x8B, 8, 0], "gzip"),
        (Array("PAR1".utf8), "Parquet"),
        (Array("PK".utf8) + [3, 4], "ZIP"),
    ]

    @Test(arguments: foreign)
    func filesOfOtherKindsAreNamed(bytes: [UInt8], words: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", bytes + Array("rest".utf8))
        let error = try #require(throws: DatasetError.self) { try StepRun(Preparation(source: .files([path])), in: folder) }
        #expect(error.message.contains(words) && error.message.contains(path))
    }

    private static let faults: [(String, String)] = [
        ("{\"input\": \"a\", \"output\": \"b\", \"input\": \"c\"}", "line 2: not JSON: the key 'input' stands twice"),
        (String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000), "line 2: not JSON: more than 256 levels of nesting"),
        ("{\"input\": \"a\", \"outp", "line 2: the file ends inside a record: the text ends inside a string"),
        ("{\"input\": 3, \"output\": \"b\"}", "line 2, /input: is an integer; it must be a string"),
    ]

    @Test(arguments: faults)
    func eachFaultHasOneMessageWithItsPlace(line: String, message: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", "{\"input\": \"a\", \"output\": \"b\"}\n" + line)
        let error = try #require(throws: DatasetError.self) { try StepRun(Preparation(source: .files([path])), in: folder) }
        #expect(error.issues.count == 1)
        #expect(error.message.hasPrefix("in: records not of format 'input_output': " + message), "\(error.message)")
    }

    @Test func bytesThatAreNoUTF8AreAnErrorWithTheirLine() throws {
        let folder = try TemporaryFolder()
        let good = Array("{\"input\": \"a\", \"output\": \"\u{FFFD}\"}\n".utf8)
        let path = try folder.file("in", good + Array("{\"input\": \"".utf8) + [0xE9] + Array("\", \"output\": \"b\"}\n".utf8))
        let error = try #require(throws: DatasetError.self) { try StepRun(Preparation(source: .files([path])), in: folder) }
        #expect(error.issues.contains { $0.line == 2 && $0.detail == "the record holds bytes that are not UTF-8" })
        #expect(try StepRun(Preparation(source: .files([try folder.file("good", good)])), in: folder).records.count == 1)
    }

    @Test func aLineOfAHundredMegabytesIsRefusedInBoundedMemory() throws {
        let folder = try TemporaryFolder()
        var bytes = Array("{\"input\": \"a\", \"output\": \"b\"}\n{\"input\": \"".utf8)
        bytes += [UInt8](repeating: UInt8(ascii: "x"), count: 100_000_000)
        bytes += Array("\", \"output\": \"b\"}\n{\"input\": \"a\", \"output\": \"b\"}\n".utf8)
        let path = try folder.file("in", bytes)
        let error = try #require(throws: DatasetError.self) { try StepRun(Preparation(source: .files([path])), in: folder) }
        #expect(error.issues.map(\.description) == ["line 2: a record of more than \(RecordLoader.recordBytesMax) bytes"])
    }

    @Test(arguments: [1, 3, 1000])
    func aFileMayBeOneArrayOfRecords(chunkBytes: Int) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("in", "\u{FEFF} [\n {\"a\": 1},\n {\"a\": [2]}\n]\n")
        var records: [JSONValue] = []
        _ = try RecordLoader(path: path, mode: .standard, chunkBytes: chunkBytes).load(onEvent: { event in
            switch event {
            case .record(let value, _): records.append(value)
            case .issue(let issue): Issue.record("\(issue)")
            }
        })
        #expect(records == [["a": 1], ["a": [2]]])
    }
}
