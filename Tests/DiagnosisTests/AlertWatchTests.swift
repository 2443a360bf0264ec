import Domain
import Testing

@testable import Diagnosis

@Suite struct AlertWatchTests {
    /// Steps at which the rule comes true with `values` of a key, the first at step 1.
    private func raised(_ rule: String, _ values: [Double]) throws -> [Int] {
        var watch = AlertWatch(try #require(AlertRule(rule)))
        return values.enumerated().compactMap { index, value in
            watch.take(key: "loss", step: index + 1, value: value) == nil ? nil : index + 1
        }
    }

    @Test func aRowOfStepsRaisesOnce() throws {
        #expect(try raised("loss > 10 for 3", [11, 12, 9, 11, 12, 13, 14, 15, 9, 11, 11, 11]) == [6, 12])
        #expect(try raised("loss > 10", [11, 12, 9, 11]) == [1, 4])
        #expect(try raised("loss is nan for 2", [.nan, 1, .infinity, .nan, .nan]) == [4])
        #expect(try raised("other > 10", [11, 12]).isEmpty)
        #expect(try raised("loss > 10", [.nan, .infinity]) == [2])
    }

    @Test func aStepThatComesAgainCountsOnce() throws {
        var watch = AlertWatch(try #require(AlertRule("loss > 10 for 2")))
        #expect(watch.take(key: "loss", step: 5, value: 11) == nil)
        #expect(watch.take(key: "loss", step: 5, value: 11) == nil)
        #expect(watch.take(key: "loss", step: 6, value: 11) == "loss is 11.0 at step 6, for 2 steps")
    }

    @Test func twoKeysAreComparedAtOneStep() throws {
        var watch = AlertWatch(try #require(AlertRule("chosen < rejected for 2")))
        #expect(watch.take(key: "chosen", step: 1, value: 0) == nil)
        #expect(watch.take(key: "rejected", step: 2, value: 1) == nil, "of another step")
        #expect(watch.take(key: "chosen", step: 2, value: 0) == nil)
        #expect(watch.take(key: "rejected", step: 3, value: 1) == nil)
        #expect(watch.take(key: "chosen", step: 3, value: 0) == "chosen is 0.0 and rejected is 1.0 at step 3, for 2 steps")
    }

    @Test func idleGPUsAreToldOnceUntilTheyWork() throws {
        var watch = AlertWatch(try #require(AlertRule("gpu_idle > 20m")))
        #expect(watch.take(idle: .seconds(1200)) == nil)
        #expect(watch.take(idle: .seconds(1201)) == "its GPUs have done nothing for 1201 s")
        #expect(watch.take(idle: .seconds(1300)) == nil)
        #expect(watch.take(idle: nil) == nil)
        #expect(watch.take(idle: .seconds(1300)) != nil)
        #expect(watch.take(key: "gpu_idle", step: 1, value: 1e9) == nil)
    }
}
