import Testing

@testable import Evaluation

@Suite struct BenchmarkMetricsTests {
    private static let items: [[GradedSample]] = {
        let answers: [[Int?]] = [[70, 70, 73, nil], [1, 2, 1, 2], [nil, nil, nil, nil], [5, 6, 7, 8]]
        let correct: [[Double]] = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
        return zip(answers, correct).map { zip($0, $1).map { GradedSample(answer: $0.map(String.init), score: $1) } }
    }()

    @Test(arguments: [(2, 54.1667, 37.5, 37.5), (3, 68.75, 41.6667, 58.3333), (4, 75.0, 31.25, 43.75)])
    func metricsOfKSamplesEqualTheReference(k: Int, pass: Double, mean: Double, majority: Double) throws {
        let metrics = try #require(BenchmarkMetrics(items: Self.items))
        func percent(_ metric: MetricValue?) -> Double { ((metric?.value ?? .nan) * 1_000_000).rounded() / 10_000 }
        #expect(percent(metrics.pass(at: k)) == pass)
        #expect(percent(metrics.meanOfFirst(k)) == mean)
        #expect(percent(metrics.majority(at: k)) == majority)
    }

    @Test func missingAnswersAreCountedBySampleAndByItem() throws {
        let metrics = try #require(BenchmarkMetrics(items: Self.items))
        #expect(metrics.noAnswer?.value == 0.3125)
        #expect(metrics.noAnswerInAny?.value == 0.25)
    }

    @Test func theStandardErrorIsThatOfTheMeanOverItems() throws {
        let metrics = try #require(BenchmarkMetrics(items: [1, 0, 1, 1].map { [GradedSample(answer: "x", score: $0, tokens: 3)] }))
        let accuracy = try #require(metrics.meanOfFirst(1))
        #expect(accuracy.value == 0.75)
        #expect(abs((accuracy.standardError ?? 0) - 0.25) < 1e-12)
        #expect(metrics.all().map(\.name) == ["accuracy", "no_answer", "truncated", "avg_tokens"])
        #expect(BenchmarkMetrics(items: [[GradedSample(answer: nil, score: 1)]])?.meanOfFirst(1)?.standardError == nil)
    }

    @Test func tokensAreRoundedDownAndLeftOutWhereTheServerDidNotTell() throws {
        let told = try #require(
            BenchmarkMetrics(items: [[3, 4], [5, 5]].map { $0.map { GradedSample(answer: "x", score: 1, tokens: $0) } }))
        #expect(told.averageTokens?.value == 4)
        #expect(try #require(BenchmarkMetrics(items: Self.items)).averageTokens == nil)
        #expect(told.all().map(\.name).contains("pass@2"))
    }

    @Test func itemsWithDifferentNumbersOfSamplesAreRefused() {
        let sample = GradedSample(answer: "x", score: 1)
        #expect(BenchmarkMetrics(items: [[sample], [sample, sample]]) == nil)
        #expect(BenchmarkMetrics(items: []) == nil)
    }

    @Test func scoresBetweenZeroAndOnePassWithTheBestOfTheFirstK() throws {
        let metrics = try #require(BenchmarkMetrics(items: [[0.25, 0.5, 1].map { GradedSample(answer: "x", score: $0) }]))
        #expect(metrics.pass(at: 2)?.value == 0.5)
    }
}
