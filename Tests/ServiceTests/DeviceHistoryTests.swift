import Devices
import Domain
import Testing

@testable import Service

@Suite struct DeviceHistoryTests {
    /// A sample each second, the last at second `count`.
    private func history(seconds count: Int) -> DeviceHistory {
        var history = DeviceHistory()
        for second in 1...count {
            var host = HostReadings()
            host.diskRead = Int64(second * second)
            history.append(.init(at: Timestamp(milliseconds: Int64(second) * 1000), gpus: [], host: host))
        }
        return history
    }

    @Test func anAnswerHoldsSoManySamplesTheNewestAmongThem() {
        for (seconds, expected) in [
            (ServiceLimits.deviceSamplesMax - 1, ServiceLimits.deviceSamplesMax), (ServiceLimits.deviceSamplesMax, 301),
        ] {
            let samples = history(seconds: 2000).recent(seconds, count: ServiceLimits.deviceSamplesMax)
            #expect(samples.count == expected)
            #expect(samples.last?.at.milliseconds == 2_000_000)
        }
        #expect(history(seconds: 5).recent(60, count: 600).count == 5)
        #expect(DeviceHistory().recent(60, count: 600).isEmpty)
    }

    @Test func anHourIsKept() {
        let samples = history(seconds: 8000).samples
        #expect(samples.last?.at.milliseconds == 8_000_000)
        #expect((3600...3700).contains(samples.count))
    }

    @Test func countersBecomeRates() {
        #expect(history(seconds: 1).rate { Double($0.diskRead) } == nil)
        #expect(history(seconds: 3).rate { Double($0.diskRead) } == 5)
    }
}
