import Testing

@testable import Evaluation

@Suite struct BenchmarkMetricsTests {
    private static let items: [[GradedSample]] = {
        let answers: [[Int?]] = [[70, 70, 73, nil], [1, 2, 1, 2], [nil, nil, nil, nil], [5, 6, 7, 8]]
        let correct: [[Double]] = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
        return zip(answers, correct).map { zip($0, $1).map { GradedSample(answer: $0.map(String.init), score: $1) } }
    }()

    private static func percent(_ metric: MetricValue?) -> Double { ((metric?.value ?? .nan) * 1_000_000).rounded() / 10_000 }

    /// The vectors of both definitions, before and after August 2025.
    @Test(arguments: [
        (MetricDefinition.unbiased, 2, 54.1667, 37.5, 37.5), (.unbiased, 3, 68.75, 41.6667, 58.3333), (.unbiased, 4, 75.0, 31.25, 43.75),
        (.firstK, 2, 50.0, 37.5, 50.0), (.firstK, 3, 75.0, 41.6667, 50.0), (.firstK, 4, 75.0, 31.25, 50.0),
    ])
    func metricsOfKSamplesEqualTheReference(definition: MetricDefinition, k: Int, pass: Double, mean: Double, majority: Double) throws {
        let metrics = try #require(BenchmarkMetrics(items: Self.items, definition: definition))
        #expect(Self.percent(metrics.pass(at: k)) == pass)
        #expect(Self.percent(metrics.meanOfFirst(k)) == mean)
        #expect(Self.percent(metrics.majority(at: k)) == majority)
        #expect(metrics.byK.pass[k - 1] == metrics.pass(at: k)?.value && metrics.byK.majority[k - 1] == metrics.majority(at: k)?.value)
        #expect(metrics.byK.mean[k - 1] == metrics.meanOfFirst(k)?.value)
    }

    @Test func missingAnswersAreCountedBySampleAndByItem() throws {
        let metrics = try #require(BenchmarkMetrics(items: Self.items))
        #expect(metrics.noAnswer?.value == 0.3125)
        #expect(metrics.noAnswerInAny?.value == 0.25)
        #expect(metrics.byK.noAnswerMean == [0.25, 0.25, 0.25, 0.3125] && metrics.byK.noAnswerInAny == [0.25, 0.25, 0.25, 0.25])
    }

    /// All ways to choose k of n samples, and the share of them that holds a right one.
    @Test func theUnbiasedPassIsTheMeanOverAllChoices() throws {
        var generator = SplitMix64(seed: 1)
        for n in 1...7 {
            for _ in 0..<8 {
                let scores = (0..<n).map { _ in Double(generator.index(below: 2)) }
                let metrics = try #require(BenchmarkMetrics(items: [scores.map { GradedSample(answer: "x", score: $0) }]))
                for k in 1...n {
                    let choices = (0..<(1 << n)).filter { $0.nonzeroBitCount == k }
                    let hits = choices.count { choice in scores.indices.contains { choice >> $0 & 1 == 1 && scores[$0] == 1 } }
                    #expect(abs((metrics.pass(at: k)?.value ?? -1) - Double(hits) / Double(choices.count)) < 1e-12)
                }
            }
        }
    }

    /// A majority counted the long way: by sorting all pairs of answer and score.
    @Test(arguments: MetricDefinition.allCases)
    func theMajorityEqualsACountOfSortedPairs(definition: MetricDefinition) throws {
        var generator = SplitMix64(seed: 2)
        for _ in 0..<200 {
            let samples = (0..<6).map { _ -> GradedSample in
                let answer = generator.index(below: 4)
                return GradedSample(answer: answer == 0 ? nil : "\(answer)", score: answer == 0 ? 0 : Double(generator.index(below: 2)))
            }
            let metrics = try #require(BenchmarkMetrics(items: [samples], definition: definition))
            for k in 1...6 {
                let pairs = samples.prefix(k).compactMap { sample in sample.answer.map { "\($0) \(Int(sample.score))" } }.sorted()
                let counts = Dictionary(grouping: pairs) { $0 }.mapValues(\.count)
                let tied = counts.filter { $0.value == counts.values.max() }.keys.sorted().map { $0.hasSuffix("1") ? 1.0 : 0 }
                let expected = definition == .firstK ? tied.first ?? 0 : tied.isEmpty ? 0 : tied.reduce(0, +) / Double(tied.count)
                #expect(abs((metrics.majority(at: k)?.value ?? -1) - expected) < 1e-12)
            }
        }
    }

    @Test func theStandardErrorIsThatOfTheMeanOverItems() throws {
        let metrics = try #require(BenchmarkMetrics(items: [1, 0, 1, 1].map { [GradedSample(answer: "x", score: $0, tokens: 3)] }))
        let accuracy = try #require(metrics.meanOfFirst(1))
        #expect(accuracy.value == 0.75)
        #expect(abs((accuracy.standardError ?? 0) - 0.25) < 1e-12)
        #expect(metrics.all().map(\.name) == ["accuracy", "no_answer", "truncated", "avg_tokens"])
        #expect(metrics.runs == nil)
        #expect(BenchmarkMetrics(items: [[GradedSample(answer: nil, score: 1)]])?.meanOfFirst(1)?.standardError == nil)
    }

    /// Four runs over two items: accuracies 1, ½, ½ and 0.
    @Test func runsVaryAroundTheirMean() throws {
        let scores: [[Double]] = [[1, 1, 0, 0], [1, 0, 1, 0]]
        let runs = try #require(BenchmarkMetrics(items: scores.map { $0.map { GradedSample(answer: "x", score: $0) } })?.runs)
        #expect(runs.accuracies == [1, 0.5, 0.5, 0])
        #expect(abs(runs.deviation - (0.5 / 3).squareRoot()) < 1e-12)
        #expect(abs(runs.standardError - (0.5 / 3).squareRoot() / 2) < 1e-12)
        #expect(abs(runs.meanItemDeviation - (1.0 / 3).squareRoot()) < 1e-12)
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

@Suite struct BootstrapTests {
    /// The first numbers of the published generator with seed 0.
    @Test func theGeneratorIsSplitMix64() {
        var generator = SplitMix64(seed: 0)
        #expect(
            [generator.next(), generator.next(), generator.next()] == [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F])
    }

    /// With three items all 27 resamples can be counted: quantiles of their exact distribution.
    @Test func theIntervalIsThatOfTheResamplingDistribution() throws {
        let values = [0.0, 1, 5]
        var means: [Double] = []
        for a in values { for b in values { for c in values { means.append((a + b + c) / 3) } } }
        means.sort()
        let interval = try #require(Bootstrap.interval(ofMean: values, confidence: 0.8, resamples: 20_000, seed: 3))
        #expect(interval.lowerBound >= means[1] && interval.lowerBound <= means[4])
        #expect(interval.upperBound >= means[22] && interval.upperBound <= means[25])
    }

    /// For many items the interval is that of the normal distribution.
    @Test func forManyItemsItIsTheNormalInterval() throws {
        let values = (0..<1000).map { $0 % 4 == 0 ? 1.0 : 0 }
        let interval = try #require(Bootstrap.interval(ofMean: values))
        let reach = 1.959964 * (0.25 * 0.75 / 1000).squareRoot()
        #expect(abs(interval.lowerBound - (0.25 - reach)) < 0.003 && abs(interval.upperBound - (0.25 + reach)) < 0.003)
        #expect(Bootstrap.interval(ofMean: values) == interval)
        #expect(Bootstrap.interval(ofMean: values, seed: 1) != interval)
    }

    @Test func equalValuesAndSingleOnesNeedNoDrawing() {
        #expect(Bootstrap.interval(ofMean: [0.1, 0.1, 0.1]) == 0.1...0.1)
        #expect(Bootstrap.interval(ofMean: [1]) == nil)
    }

    @Test(arguments: [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.25, 1.75), (0.025, 1.075)])
    func quantilesAreThoseOfNumPy(share: Double, value: Double) {
        #expect(abs(Bootstrap.quantile(share, of: [1, 2, 3, 4]) - value) < 1e-12)
    }
}
