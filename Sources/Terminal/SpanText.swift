/// Spans of time as people read them.
public enum SpanText {
    /// Two units at most: `0.4s`, `12s`, `3m 04s`, `2h 05m`, `3d 04h`.
    public static func exact(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e12 else { return "–" }
        if seconds < 9.95 { return NumberText.fixed(seconds, decimals: 1) + "s" }
        let whole = Int(seconds.rounded())
        switch whole {
        case ..<60: return "\(whole)s"
        case ..<3600: return "\(whole / 60)m \(twoDigits(whole % 60))s"
        case ..<86400: return "\(whole / 3600)h \(twoDigits(whole / 60 % 60))m"
        default: return "\(whole / 86400)d \(twoDigits(whole / 3600 % 24))h"
        }
    }

    /// How long ago something was, in its largest unit: `3m ago`. Up to a minute in the future counts as now, as clocks differ.
    public static func ago(seconds: Double) -> String {
        guard seconds.isFinite else { return "–" }
        if seconds < -60 { return "in " + largestUnit(-seconds) }
        return seconds < 1 ? "now" : largestUnit(seconds) + " ago"
    }

    private static func largestUnit(_ seconds: Double) -> String {
        let whole = Int(min(seconds, 1e12))
        switch whole {
        case ..<60: return "\(whole)s"
        case ..<3600: return "\(whole / 60)m"
        case ..<86400: return "\(whole / 3600)h"
        default: return "\(whole / 86400)d"
        }
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
}
