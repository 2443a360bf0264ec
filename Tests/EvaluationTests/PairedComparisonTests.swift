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

    static func document(_ scores: [Double], sha256: String = "s", name: String = "b") -> EvaluationDocument {
        let accuracy = MetricValue(mean: scores)
        return EvaluationDocument(
            model: "m", server: ["engine": "transformers"],
            benchmarks: [
                .init(
                    name: name, dataset: .init(id: "ds_1", sha256: sha256, path: "/d"), samples: 1, grader: .exact,
                    settings: ["temperature": 0],
                    metrics: accuracy.map { [(name: "accuracy", metric: $0)] } ?? [], itemScores: scores, itemsPath: "items.jsonl")
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
}
