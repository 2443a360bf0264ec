import Foundation
import JSON
import Testing

@testable import Datasets

@Suite struct GroupStepTests {
    private let groups = [[0, 1, 2, 3], [4], [5, 6]]

    @Test func fairTakesOneOfEachProblemInTurn() {
        #expect(Downsampling(method: .fair, count: 5, shuffles: false).order(groups: groups) == [0, 4, 5, 1, 6])
        #expect(Downsampling(method: .fair, count: 7, shuffles: false).order(groups: groups) == [0, 1, 2, 3, 4, 5, 6])
        #expect(Downsampling(method: .fair, count: 100, shuffles: false).order(groups: groups).count == 7)
        #expect(Downsampling(method: .random, count: 3, shuffles: false).order(groups: groups).count == 3)
    }

    @Test func randomIsTheShuffleOfPythonCutOff() {
        var random = MersenneTwister(seed: 42)
        var order = Array(0..<10)
        random.shuffle(&order)
        #expect(Downsampling(method: .random, count: 4).order(groups: [Array(0..<10)]) == Array(order.prefix(4)))
    }

    @Test func downsamplingIsFairForAnyGroups() {
        var random = MersenneTwister(seed: 2)
        for _ in 0..<200 {
            let sizes = (0..<(1 + random.below(8))).map { _ in random.below(6) + 1 }
            var next = 0
            let groups = sizes.map { size in
                defer { next += size }
                return Array(next..<(next + size))
            }
            let count = 1 + random.below(next)
            let order = Downsampling(method: .fair, count: count, seed: 3).order(groups: groups)
            #expect(order.count == count && Set(order).count == count)
            let taken = groups.map { $0.filter(order.contains).count }
            let most = taken.max() ?? 0
            for (size, amount) in zip(sizes, taken) { #expect(amount >= min(size, most - 1)) }
        }
    }

    @Test func tooFewRecordsAreAllKeptWithAWarning() throws {
        let run = try StepRun(
            [generation("a", "1"), generation("a", "2")], .downsample(Downsampling(method: .fair, count: 9, shuffles: false)))
        #expect(run.records.count == 2)
        #expect(run.log.contains { $0.hasPrefix("warning: downsample asks for 9 records") })
    }

    @Test func sourcesAreInterleavedByWeight() {
        let parts = [Interleaving.Part(paths: [], weight: 3), Interleaving.Part(paths: [], weight: 1)]
        let all = Interleaving(parts: parts, stop: .all).order(counts: [3000, 3000])
        #expect(all.sorted() == Array(0..<6000))
        let early = all.prefix(2000).count { $0 < 3000 }
        #expect((1400...1600).contains(early))
        // Within a source the order stays.
        #expect(all.filter { $0 < 3000 } == Array(0..<3000))
        let first = Interleaving(parts: parts, stop: .first).order(counts: [30, 3000])
        #expect(first.last == 29 && first.count < 100)
        let over = Interleaving(parts: parts, stop: .oversample).order(counts: [10, 100])
        #expect(Set(over) == Set(0..<110) && over.count > 200)
        #expect(Interleaving(parts: parts).order(counts: [0, 2]) == [0, 1])
    }

    @Test func interleavedFilesBecomeOneDataset() throws {
        let folder = try TemporaryFolder()
        let paths = try ["a", "b"].map { name in
            try folder.file(name, (0..<50).map { "{\"input\": \"\(name)\($0)\", \"output\": \"x\"}\n" }.joined())
        }
        let source = Interleaving(parts: paths.map { Interleaving.Part(paths: [$0]) })
        let run = try StepRun(Preparation(source: .interleave(source)), in: folder)
        #expect(run.result.outputs.first?.format == .inputOutput && Set(run.texts("input")).count == 100)
        #expect(
            run.texts("input").prefix(50).contains { $0.hasPrefix("a") } && run.texts("input").prefix(50).contains { $0.hasPrefix("b") })
    }

    @Test func pairsAreMadeOfRightAndWrongAnswers() throws {
        let records = [
            generation("p", "r1", isCorrect: true), generation("p", "w1", isCorrect: false), generation("q", "r2", isCorrect: true),
            generation("p", "w2", isCorrect: false), generation("p", "n"),
        ]
        var pairing = PreferencePairing()
        pairing.choice = .first
        pairing.pairsPerGroup = 5
        let run = try StepRun(records, .preferencePairs(pairing))
        #expect(run.result.outputs.first?.format == .preference)
        #expect(
            run.records.map { [$0["prompt"], $0["chosen_response"], $0["rejected_response"]] } == [["p", "r1", "w1"], ["p", "r1", "w2"]])
        #expect(run.dropped(1) == ["no_pair_in_group": 1])
    }

    @Test func everyPairIsMadeOnceAndNoAnswerIsUsedMoreThanNeeded() {
        var random = MersenneTwister(seed: 6)
        for _ in 0..<200 {
            let (right, wrong) = (1 + random.below(5), 1 + random.below(5))
            var pairing = PreferencePairing()
            pairing.pairsPerGroup = 1 + random.below(30)
            let group = (0..<(right + wrong)).map { PreferencePairing.Candidate(index: $0, isRight: $0 < right, score: nil) }
            let pairs = pairing.pairs(of: group, using: &random)
            #expect(pairs.count == min(pairing.pairsPerGroup, right * wrong))
            #expect(Set(pairs.map { $0.chosen * 100 + $0.rejected }).count == pairs.count)
            #expect(pairs.allSatisfy { $0.chosen < right && $0.rejected >= right })
            for index in 0..<right {
                #expect(pairs.count { $0.chosen == index } <= (pairs.count + right - 1) / right)
            }
        }
    }

    @Test func scoresRankTheAnswers() throws {
        let records = [3.0, 1, 2, 3].enumerated().map { index, score -> JSONValue in
            ["problem": "p", "generation": .string("g\(index)"), "score": .double(score)]
        }
        var pairing = PreferencePairing()
        pairing.scoreKey = "score"
        pairing.choice = .extremes
        let run = try StepRun(records, .preferencePairs(pairing))
        #expect(run.texts("chosen_response") == ["g0"] && run.texts("rejected_response") == ["g1"])
        #expect(run.records[0]["chosen_reward"] == 3.0 && run.records[0]["rejected_reward"] == 1.0)
        pairing.pairsPerGroup = 100
        pairing.minMargin = 1.5
        #expect(try StepRun(records, .preferencePairs(pairing)).records.count == 2)
        #expect(throws: DatasetError.self) { try StepRun([generation("p", "x")], .preferencePairs(pairing)) }
    }

    @Test func easyProblemsAreDiscardedAtThreeQuarters() throws {
        // Of eight samples 0 to 8 are right.
        let records = (0...8).flatMap { right in (0..<8).map { generation("p\(right)", "g\($0)", isCorrect: $0 < right) } }
        let run = try StepRun(records, .passRate(PassRateSelection()))
        #expect(run.texts("problem") == (0...5).map { "p\($0)" })
        #expect(run.records.map { $0["pass_rate"]?.double } == [0, 0.125, 0.25, 0.375, 0.5, 0.625])
        #expect(run.dropped(1) == ["too_easy": 24, "other_generations": 42])
        var selection = PassRateSelection()
        selection.min = 0.1
        selection.emission = .records
        #expect(try StepRun(records, .passRate(selection)).records.count == 40)
        selection = PassRateSelection()
        selection.rateKey = "rate"
        #expect(try StepRun([["rate": 0.74], ["rate": 0.75], ["rate": 0]], .passRate(selection)).records == [["rate": 0.74], ["rate": 0]])
        #expect(throws: DatasetError.self) { try StepRun([["rate": 2]], .passRate(selection)) }
    }

    @Test func theCurriculumGoesFromEasyToHard() throws {
        var random = MersenneTwister(seed: 12)
        let rates = (0..<6000).map { _ in Double(random.below(6)) / 8 }
        let order = Curriculum(batchSize: 100).order(rates: rates)
        #expect(order.sorted() == Array(0..<6000))
        func mean(_ batch: Int) -> Double { order[(batch * 100)..<(batch * 100 + 100)].reduce(0) { $0 + rates[$1] } / 100 }
        #expect(mean(0) > 0.5)
        let thirds = (0..<3).map { third in (0..<20).map { mean(third * 20 + $0) }.reduce(0, +) / 20 }
        #expect(thirds[0] > thirds[1] && thirds[1] > thirds[2])
        #expect(Curriculum(batchSize: 100).order(rates: rates) == order)
        #expect(Curriculum(batchSize: 100, batches: 3).order(rates: rates).count == 300)
        #expect(Curriculum(batchSize: 7).order(rates: [0.5, 0.1]).count == 2)
        #expect(Curriculum(batchSize: 4, levels: 3).order(rates: [0, 1, 0.5, 0.4, 1]).count == 5)
    }

    @Test func aBatchFollowsTheTargetAsFarAsTheLevelsReach() {
        let curriculum = Curriculum(batchSize: 10, width: 0.01)
        #expect(curriculum.amounts(centre: 0.6, centres: [0, 0.3, 0.6], left: [100, 100, 100]) == [0, 0, 10])
        // What the wanted level lacks comes from the fullest one.
        #expect(curriculum.amounts(centre: 0.6, centres: [0, 0.3, 0.6], left: [100, 50, 4]) == [6, 0, 4])
        #expect(curriculum.amounts(centre: 0.6, centres: [0, 0.3, 0.6], left: [2, 2, 4]) == [2, 2, 4])
    }
}
