import Devices
import Domain

/// What the machine's devices read over the last hour, in memory: enough for a page or a scrape, and no burden for the database.
struct DeviceHistory {
    /// One look at the whole machine.
    struct Sample: Sendable {
        var at: Timestamp
        var gpus: [GPUDevice]
        var host: HostReadings
    }

    /// How far back it goes.
    static let span: Duration = .seconds(3600)
    private static let samplesMax = 3600

    private(set) var samples: [Sample] = []

    var latest: Sample? { samples.last }

    mutating func append(_ sample: Sample) {
        samples.append(sample)
        let oldest = sample.at.milliseconds - Self.span.milliseconds
        // Taken away in lots, so that the array is not moved with each sample.
        guard samples.count > Self.samplesMax || samples[0].at.milliseconds < oldest - 60_000 else { return }
        samples.removeFirst(max(samples.count - Self.samplesMax, samples.firstIndex { $0.at.milliseconds >= oldest } ?? 0))
    }

    /// The samples of the last seconds, at most `count` of them.
    func recent(_ seconds: Int, count: Int) -> [Sample] {
        guard let last = samples.last else { return [] }
        let wanted = samples.drop { $0.at.milliseconds < last.at.milliseconds - Int64(seconds) * 1000 }
        let stride = max(1, (wanted.count + count - 1) / count)
        return wanted.enumerated().filter { (wanted.count - 1 - $0.offset).isMultiple(of: stride) }.map(\.element)
    }

    /// What the host's counters grew by each second before the last sample; `nil` before the second one.
    func rate(_ counter: (HostReadings) -> Double) -> Double? {
        guard samples.count >= 2 else { return nil }
        let (before, last) = (samples[samples.count - 2], samples[samples.count - 1])
        let seconds = Double(last.at.milliseconds - before.at.milliseconds) / 1000
        return seconds > 0 ? (counter(last.host) - counter(before.host)) / seconds : nil
    }
}

extension HostReadings {
    /// The part of all cores' time since an earlier reading in which something ran, 0 to 1.
    func load(since earlier: HostReadings) -> Double? {
        let all = cpuSeconds - earlier.cpuSeconds
        return all > 0 ? max(0, min(1, 1 - (cpuIdleSeconds - earlier.cpuIdleSeconds) / all)) : nil
    }
}
