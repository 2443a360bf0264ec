import APITypes
import Telemetry

/// How far a worker is, how fast it goes and when it may be done, from its own metrics.
///
/// The rate is that of the last `window` points, so that a pause for validation or a change of speed shows soon.
struct ProgressMeter {
    private static let window = 32

    private var total: Double?
    private var marks: [(done: Double, seconds: Double)] = []

    /// Takes the points of one batch: `progress/done` where the worker reports it, else the steps of its metrics.
    mutating func take(key: String, step: Int, seconds: Double, value: Double) {
        switch key {
        case "progress/total": total = value
        case "progress/done": mark(value, seconds)
        case "train/loss", "loss": mark(Double(step), seconds)
        default: break
        }
    }

    private mutating func mark(_ done: Double, _ seconds: Double) {
        if let last = marks.last, done <= last.done { return }
        marks.append((done, seconds))
        if marks.count > Self.window { marks.removeFirst() }
    }

    /// `nil` before the first sign of progress.
    var view: ProgressView? {
        guard let last = marks.last else { return total.map { ProgressView(done: 0, total: $0) } }
        var rate: Double?
        if let first = marks.first, last.seconds > first.seconds { rate = (last.done - first.done) / (last.seconds - first.seconds) }
        let left = total.flatMap { total in rate.flatMap { $0 > 0 ? max(0, total - last.done) / $0 : nil } }
        return ProgressView(done: last.done, total: total, ratePerSecond: rate, secondsLeft: left)
    }
}
