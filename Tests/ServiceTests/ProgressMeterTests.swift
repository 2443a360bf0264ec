import Testing

@testable import Service

@Suite struct ProgressMeterTests {
    @Test func theRateIsThatOfTheLastPointsAndGivesTheTimeLeft() {
        var meter = ProgressMeter()
        meter.take(key: "progress/total", step: 0, seconds: 0, value: 100)
        #expect(meter.view?.done == 0 && meter.view?.total == 100)
        for step in 1...40 { meter.take(key: "train/loss", step: step, seconds: Double(step) * 0.5, value: 1) }
        #expect(meter.view?.done == 40 && meter.view?.ratePerSecond == 2 && meter.view?.secondsLeft == 30)
    }

    @Test func repeatedAndOlderPointsChangeNothing() {
        var meter = ProgressMeter()
        meter.take(key: "progress/done", step: 5, seconds: 1, value: 5)
        meter.take(key: "progress/done", step: 5, seconds: 9, value: 5)
        meter.take(key: "progress/done", step: 4, seconds: 10, value: 4)
        #expect(meter.view?.done == 5 && meter.view?.ratePerSecond == nil)
    }

    @Test func nothingIsKnownBeforeTheFirstSign() { #expect(ProgressMeter().view == nil) }
}
