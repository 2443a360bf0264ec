import JSON
import Testing

@testable import Evaluation

@Suite struct PairedComparisonTests {
    // Made with mpmath's incomplete beta function at thirty digits.
    @Test(arguments: [
        (1.0, 1.0, 0.5), (2.228138852, 10.0, 0.05), (0.5, 3.0, 0.651447964848), (12.706204736, 1.0, 0.05), (1.959967, 1e6, 0.05),
    ])
    func theTwoSidedProbabilityEqualsPublishedValues(t: Double, degrees: Double, probability: Double) {
        #expect(abs(StudentDistribution.twoSidedProbability(t, degrees: degrees) - probability) < 2e-6)
    }

    @Test(arguments: [(1.0, 12.7062047362), (4.0, 2.7764451052), (30.0, 2.0422724563)])
    func quantilesEqualPublishedValues(degrees: Double, quantile: Double) {
        #expect(abs(StudentDistribution.twoSidedQuantile(0.95, degrees: degrees) - quantile) < 1e-8)
    }

    @Test func pairsAreTestedByTheirDifferences() throws {
        let comparison = try #require(PairedComparison(base: [0, 0, 1, 0, 1], candidate: [1, 1, 1, 0, 0]))
        #expect(comparison.up == 2 && comparison.down == 1)
        #expect(abs(comparison.difference - 0.2) < 1e-12)
        #expect(abs((comparison.standardError ?? 0) - 0.3741657387) < 1e-9)
        #expect(abs((comparison.probability ?? 0) - 0.6213082950) < 1e-6)
        #expect(comparison.interval?.contains(0) == true)
        #expect(comparison.changes.map(\.item) == [0, 1, 4])
    }

    @Test func equalDifferencesGetTheSignTest() throws {
        #expect(PairedComparison(base: [0, 0, 0], candidate: [1, 1, 1])?.probability == 0.25)
        #expect(PairedComparison(base: [1, 0], candidate: [1, 0])?.probability == 1)
        let single = try #require(PairedComparison(base: [0], candidate: [1]))
        #expect(single.probability == nil && single.interval == nil && single.difference == 1)
        #expect(PairedComparison(base: [0], candidate: [0, 1]) == nil)
    }

    @Test func onlyTheLargestChangesAreListed() throws {
        let count = PairedComparison.changesMax
        let atLimit = try #require(PairedComparison(base: Array(repeating: 0, count: count), candidate: Array(repeating: 1, count: count)))
        #expect(atLimit.changes.count == count)
        let base = Array(repeating: 0.0, count: count + 1)
        let past = try #require(PairedComparison(base: base, candidate: [0.5] + Array(repeating: 1, count: count)))
        #expect(past.changes.count == count && past.changes.first?.item == 1 && past.up == count + 1)
    }

    /// All 2ⁿ ways in which n changes can fall, and the share of them at least as uneven.
    @Test func theSignTestCountsAllWays() {
        for up in 0...6 {
            for down in 0...6 where up + down > 0 {
                let count = up + down
                let ways = (0..<(1 << count)).count { abs(2 * $0.nonzeroBitCount - count) >= abs(up - down) }
                #expect(abs(ExactTests.signTest(up: up, down: down) - Double(ways) / Double(1 << count)) < 1e-12)
            }
        }
        #expect(ExactTests.signTest(up: 0, down: 0) == 1 && ExactTests.signTest(up: 5000, down: 4000) < 1e-20)
    }

    // statsmodels' multipletests(method="holm") gives the same.
    @Test func probabilitiesAreRaisedByHolmsMethod() {
        let adjusted = ExactTests.holm([0.01, 0.04, 0.03, 0.5])
        for (value, expected) in zip(adjusted, [0.04, 0.09, 0.09, 0.5]) { #expect(abs(value - expected) < 1e-12) }
        #expect(ExactTests.holm([0.6, 0.7]) == [1, 1] && ExactTests.holm([]) == [])
    }

    /// The interval of the mean of differences is that of its definition, for random scores.
    @Test func theIntervalHoldsTheDifferenceAndAgreesWithTheTest() throws {
        var generator = SplitMix64(seed: 5)
        for _ in 0..<100 {
            let base = (0..<20).map { _ in Double(generator.index(below: 5)) / 4 }
            let candidate = (0..<20).map { _ in Double(generator.index(below: 5)) / 4 }
            let comparison = try #require(PairedComparison(base: base, candidate: candidate))
            let (interval, probability) = (try #require(comparison.interval), try #require(comparison.probability))
            #expect(interval.contains(comparison.difference))
            #expect(interval.contains(0) == (probability > 0.05))
            #expect(PairedComparison.interval(ofMean: zip(candidate, base).map { $0 - $1 }, confidence: 0.95) == interval)
            #expect(comparison.up + comparison.down == comparison.changes.count)
        }
    }

    @Test func itemsThatFlippedAreToldFromItemsThatMoved() throws {
        let comparison = try #require(PairedComparison(base: [0, 0.25, 1, 0.75, 0.5], candidate: [1, 0.5, 0.5, 1, 0.75]))
        #expect(comparison.flippedUp == 2 && comparison.flippedDown == 1 && comparison.up == 4 && comparison.down == 1)
        #expect(comparison.changes.filter(\.isFlip).map(\.item) == [0, 2, 4])
        #expect(comparison.json["flipped_up"] == 2 && comparison.json["changes"]?[0]?["flipped"] == true)
    }

    @Test func aDifferenceOfRoundingErrorsIsNone() throws {
        let base = (0..<10).map { Double($0) * 0.1 }
        let comparison = try #require(PairedComparison(base: base, candidate: base.map { $0 + 0.1 }))
        #expect(abs((comparison.probability ?? 0) - 2 * 0.0009765625) < 1e-12)
    }

    static func document(_ scores: [Double], sha256: String = "s", name: String = "b") -> EvaluationDocument {
        document(scores, sha256: sha256, name: name, tasks: [])
    }

    /// With the names of the items' tasks.
    static func document(_ scores: [Double], sha256: String = "s", name: String = "b", grader: Grader = .exact, tasks: [String])
        -> EvaluationDocument
    {
        let accuracy = MetricValue(mean: scores)
        return EvaluationDocument(
            model: "m", server: ["engine": "transformers"],
            benchmarks: [
                .init(
                    name: name, dataset: .init(id: "ds_1", sha256: sha256, path: "/d"), samples: 1, grader: grader,
                    settings: ["temperature": 0],
                    metrics: accuracy.map { [(name: "accuracy", metric: $0)] } ?? [],
                    tasks: Set(tasks).sorted().map { task in .init(name: task, items: tasks.count { $0 == task }, metrics: []) },
                    itemTasks: tasks, itemScores: scores, itemsPath: "items.jsonl")
            ])
    }

    @Test func aDocumentIsReadAsItWasWritten() throws {
        var document = Self.document([1, 0, 0.5])
        document.gate = GateOutcome(checks: [.init(metric: "accuracy", condition: ">= 0.5", value: 0.5, limit: 0.5, passed: true)])
        document.comparison = []
        let read = try EvaluationDocument(json: try JSONParser.parse(document.json.text()))
        #expect(read.json == document.json)
        #expect(read.benchmark("b")?.metric("accuracy") == document.benchmarks[0].metric("accuracy"))
    }

    @Test(arguments: ["{}", #"{"version": 2, "benchmarks": []}"#, #"{"version": 1}"#, #"{"version": 1, "benchmarks": [{}]}"#, "[]"])
    func whatIsNoEvaluationIsRefused(text: String) throws {
        let json = try JSONParser.parse(text)
        #expect(throws: EvaluationDocument.FormatError.self) { try EvaluationDocument(json: json) }
    }

    @Test func evaluationsOnOtherDataAreNotPaired() {
        let other = EvaluationComparison(base: Self.document([1, 0], sha256: "x"), candidate: Self.document([1, 1]))
        #expect(other.rows[0].paired == nil && other.rows[0].obstacle == "measured on other data")
        let unnamed = EvaluationComparison(base: Self.document([1, 0], name: "c"), candidate: Self.document([1, 1]))
        #expect(unnamed.rows[0].obstacle == "the base has no such benchmark")
        let limited = EvaluationComparison(base: Self.document([1, 0, 0, 1]), candidate: Self.document([1, 1]))
        #expect(limited.rows[0].paired?.items == 2 && limited.rows[0].paired?.up == 1)
        #expect(limited.json[0]?["metrics"]?["accuracy"]?["difference"]?.double == 0.5)
    }

    /// What a model forgets in one task, it may make up for in another: the whole stays the same, the task is flagged.
    @Test func aTaskThatGotWorseIsFlaggedWithinABenchmarkThatDidNot() throws {
        let tasks = (0..<60).map { ["chat", "choice"][$0 % 2] }
        let base = Self.document((0..<60).map { $0 % 2 == 1 ? 1 : 0 }, tasks: tasks)
        let candidate = Self.document((0..<60).map { $0 % 2 == 0 ? 1 : 0 }, tasks: tasks)
        let comparison = EvaluationComparison(base: base, candidate: candidate)
        #expect(comparison.rows[0].verdict == .unclear && comparison.rows[0].paired?.difference == 0)
        #expect(comparison.rows[0].tasks.map(\.verdict) == [.improvement, .regression])
        #expect(comparison.regressions == ["b/choice"])
        #expect(comparison.json[0]?["tasks"]?[1]?["verdict"] == "regression")
        #expect(comparison.rows[0].tasks[1].paired.changes.first?.item == 1)
    }

    @Test func manyBenchmarksDoNotMakeAFalseAlarm() throws {
        // Each differs with p = 0.03 (six items that fell of six); one alone is flagged, five of them are not.
        let fallen: [Double] = Array(repeating: 1, count: 6) + Array(repeating: 0.5, count: 24)
        func documents(_ count: Int) -> (EvaluationDocument, EvaluationDocument) {
            var base = Self.document(fallen, name: "b0")
            var candidate = Self.document(fallen.map { $0 == 1 ? 0.7 : $0 }, name: "b0")
            for number in 1..<max(2, count) where number < count {
                base.benchmarks += Self.document(fallen, name: "b\(number)").benchmarks
                candidate.benchmarks += Self.document(fallen.map { $0 == 1 ? 0.7 : $0 }, name: "b\(number)").benchmarks
            }
            return (base, candidate)
        }
        let (base, candidate) = documents(1)
        let single = EvaluationComparison(base: base, candidate: candidate)
        let probability = try #require(single.rows[0].paired?.probability)
        #expect(single.regressions == ["b0"] && single.rows[0].adjusted == probability)
        let (bases, candidates) = documents(5)
        let several = EvaluationComparison(base: bases, candidate: candidates, significance: probability * 4.5)
        #expect(several.regressions.isEmpty && abs((several.rows[0].adjusted ?? 0) - 5 * probability) < 1e-12)
    }

    @Test func differentGradersAreNotPaired() {
        let other = EvaluationComparison(base: Self.document([1, 0]), candidate: Self.document([1, 1], grader: .math, tasks: []))
        #expect(other.rows[0].paired == nil && other.rows[0].obstacle == "graded by 'exact' and by 'math'" && other.rows[0].verdict == nil)
    }
}
