import Glibc

/// The text of the `Date` field (RFC 9110 §5.6.7), made anew once a second.
struct HTTPDate {
    private var second = Int.min
    private var text: [UInt8] = []

    /// Now, such as `Fri, 20 Nov 2026 08:15:30 GMT`.
    mutating func bytes() -> [UInt8] {
        var time = timespec()
        // The coarse clock is some milliseconds late at most and costs next to nothing.
        clock_gettime(CLOCK_REALTIME_COARSE, &time)
        if time.tv_sec != second {
            second = time.tv_sec
            text = Array(Self.text(second: second).utf8)
        }
        return text
    }

    static func text(second: Int) -> String {
        var second = second
        var parts = tm()
        gmtime_r(&second, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][Int(parts.tm_wday)]
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Int(parts.tm_mon)]
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return "\(day), \(two(parts.tm_mday)) \(month) \(parts.tm_year + 1900) \(clock) GMT"
    }
}
