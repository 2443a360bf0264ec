import Terminal
import Testing

@Suite struct ExponentialMeanTests {
    private func mean(_ values: [Double], memory: Double) -> [Double] {
        var mean = ExponentialMean(memory: memory)
        return values.map { mean.add($0) }
    }

    @Test func theBeginningIsNotDrawnTowardsZero() {
        #expect(mean([4, 4, 4], memory: 0.9).allSatisfy { abs($0 - 4) < 1e-12 })
        // 2 and 1 with the weights 0.5 and 1.
        let smooth = mean([2, 1], memory: 0.5)
        #expect(smooth[0] == 2 && abs(smooth[1] - 2 / 1.5) < 1e-12)
    }

    @Test func theEndsOfTheRangeKeepNothingAndEverything() {
        #expect(mean([3, 1, 2], memory: 0) == [3, 1, 2])
        #expect(mean([3, 1, 2], memory: 1) == [3, 2, 2])
    }

    @Test func valuesThatAreNotFiniteStayAndCountForNothing() {
        let smooth = mean([2, .nan, .infinity, 2], memory: 0.5)
        #expect(smooth[1].isNaN && smooth[2] == .infinity && smooth[3] == 2)
    }
}
