import APITypes
import Terminal

/// How far a job is, in words.
enum ProgressText {
    /// Such as `120/400 · 3.1/s · 1m 30s left`.
    static func brief(_ progress: ProgressView) -> String {
        var parts = [count(progress)]
        if let rate = progress.ratePerSecond, rate > 0 { parts.append(self.rate(rate)) }
        if let left = progress.secondsLeft, left > 0 { parts.append("\(SpanText.exact(seconds: left)) left") }
        return parts.joined(separator: " · ")
    }

    /// Such as `120/400`.
    static func count(_ progress: ProgressView) -> String {
        let done = NumberText.significant(progress.done, digits: 12)
        return progress.total.map { "\(done)/\(NumberText.significant($0, digits: 12))" } ?? done
    }

    /// Units a second; seconds for each unit where it is slower than one a second.
    static func rate(_ perSecond: Double) -> String {
        perSecond >= 1 ? "\(NumberText.significant(perSecond, digits: 3))/s" : "\(NumberText.significant(1 / perSecond, digits: 3)) s each"
    }
}
