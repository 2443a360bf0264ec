import Datasets
import EventLoop

/// Reports how far a download is, at most a few times a second.
///
/// The bytes are one half of the job's progress; the other half is to read them.
@LoopActor
final class DownloadProgress {
    private static let intervalNanoseconds: UInt64 = 300_000_000

    private let metrics: MetricsFile
    private var lastReport: UInt64 = 0

    init(metrics: MetricsFile) { self.metrics = metrics }

    func update(_ bytes: Int64, of total: Int64?) throws {
        let now = SystemTime.monotonicNanoseconds()
        guard now - lastReport >= Self.intervalNanoseconds else { return }
        lastReport = now
        try report(bytes, of: total)
    }

    func end(_ bytes: Int64) throws { try report(bytes, of: bytes) }

    private func report(_ bytes: Int64, of total: Int64?) throws {
        var values = [(key: "download/bytes", value: Double(bytes)), (key: "progress/done", value: Double(bytes))]
        if let total { values += [(key: "download/total", value: Double(total)), (key: "progress/total", value: Double(total * 2))] }
        try metrics.append(step: Int(bytes), values)
    }
}
