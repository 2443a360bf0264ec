import EventLoop
import Generation

/// Tells how far a generation is, once a second: as metrics, and less often as lines of the log.
@LoopActor
final class GenerateProgress {
    static let interval: Duration = .seconds(1)
    private static let logNanoseconds: UInt64 = 10_000_000_000
    /// What a new second weighs in the rates.
    private static let weight = 0.3

    private let metrics: MetricsFile
    private let total: Int
    private let startDone: Int
    private var last: (at: UInt64, tokens: Int, answers: Int)
    private var tokensPerSecond: Double?
    private var answersPerSecond: Double?
    private var lastLog: UInt64
    private var lastWritten: (done: Int, failed: Int, inFlight: Int)?

    init(metrics: MetricsFile, done: Int, total: Int) {
        self.metrics = metrics
        self.total = total
        startDone = done
        let now = SystemTime.monotonicNanoseconds()
        last = (now, 0, 0)
        lastLog = now
    }

    func tell(_ state: GenerationDriver.Snapshot, done: Int, failed: Int, troubles: [String], isLast: Bool) throws {
        let now = SystemTime.monotonicNanoseconds()
        let seconds = Double(now - last.at) / 1e9
        if seconds > 0.2 {
            tokensPerSecond = Self.smoothed(tokensPerSecond, Double(state.tokens - last.tokens) / seconds)
            answersPerSecond = Self.smoothed(answersPerSecond, Double(state.answers - last.answers) / seconds)
            last = (now, state.tokens, state.answers)
        }
        for trouble in troubles { WorkerLog.line(trouble) }
        let left = secondsLeft(done: done, failed: failed)
        let here = (done: done, failed: failed, inFlight: state.inFlight)
        if isLast || lastWritten.map({ $0 != here }) ?? true {
            lastWritten = here
            var values: [(key: String, value: Double)] = [
                ("progress/done", Double(done)), ("progress/total", Double(total)), ("generate/in_flight", Double(state.inFlight)),
                ("generate/limit", Double(state.limit)), ("generate/failed", Double(failed)), ("generate/retries", Double(state.retries)),
            ]
            if let tokensPerSecond { values.append(("generate/tokens_per_second", tokensPerSecond)) }
            if let answersPerSecond { values.append(("generate/requests_per_second", answersPerSecond)) }
            if let left { values += [("progress/seconds_left", left), ("generate/eta_seconds", left)] }
            try metrics.append(step: done, values)
        }
        guard now - lastLog >= Self.logNanoseconds || isLast else { return }
        lastLog = now
        log(state, done: done, failed: failed, left: left)
    }

    private func secondsLeft(done: Int, failed: Int) -> Double? {
        guard let answersPerSecond, answersPerSecond > 0 else { return nil }
        return Double(max(0, total - done - failed)) / answersPerSecond
    }

    private func log(_ state: GenerationDriver.Snapshot, done: Int, failed: Int, left: Double?) {
        var line = "\(done) of \(total) done"
        if failed > 0 { line += ", \(failed) failed" }
        line += ", \(state.inFlight) in flight of \(state.limit)"
        if let tokensPerSecond { line += ", \(Int(tokensPerSecond)) tokens/s" }
        if let left, left > 0 { line += ", about \(Int(left)) s left" }
        WorkerLog.line(line)
    }

    private static func smoothed(_ old: Double?, _ new: Double) -> Double { old.map { $0 + weight * (new - $0) } ?? new }
}
