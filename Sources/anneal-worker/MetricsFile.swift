import Datasets
import EventLoop
import Glibc
import JSON

/// The file of metrics that the daemon follows: one JSON object a line, each appended with one write(2).
///
/// It holds nothing but a descriptor, and appends of whole lines do not mix, so it may be used from any thread.
final class MetricsFile: Sendable {
    private let descriptor: Int32
    private let path: String

    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
    }

    deinit { close(descriptor) }

    func append(step: Int, _ values: [(key: String, value: Double)]) throws(FileError) {
        var members: JSONObject = ["step": .int(Int64(step)), "time": .double(Double(SystemTime.now()) / 1000)]
        for (key, value) in values { members[key] = .double(value) }
        var line = JSONWriter(layout: .python).bytes(of: .object(members))
        line.append(0x0A)
        let result = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard result == line.count else { throw FileError(call: "write", path: path, code: result < 0 ? errno : ENOSPC) }
    }
}

/// Reports how far the work is, at most a few times a second.
struct ProgressReport {
    private static let intervalNanoseconds: UInt64 = 300_000_000

    private let metrics: MetricsFile
    private let prefix: String
    private var lastReport: UInt64 = 0
    private var lastDone = -1

    /// - Parameter prefix: what stands before `/done` and `/total` in the keys.
    init(metrics: MetricsFile, prefix: String = "progress") { (self.metrics, self.prefix) = (metrics, prefix) }

    /// Writes `done` of `total` and further values; the end is always written.
    mutating func update(done: Int, total: Int, _ others: () -> [(key: String, value: Double)] = { [] }) throws(FileError) {
        let now = SystemTime.monotonicNanoseconds()
        guard done != lastDone, done == total || now - lastReport >= Self.intervalNanoseconds else { return }
        lastReport = now
        lastDone = done
        try metrics.append(
            step: done, [(key: prefix + "/done", value: Double(done)), (key: prefix + "/total", value: Double(total))] + others())
    }
}
