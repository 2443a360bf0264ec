import Domain
import Glibc
import Terminal

/// Times of the API as people read them.
enum Moment {
    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// How long ago an RFC 3339 time is, such as `3m ago`; a dash for none.
    static func age(_ text: String?) -> StyledText {
        guard let text else { return StyledText("–", .dim) }
        guard let moment = Timestamp(rfc3339: text) else { return StyledText(text) }
        return StyledText(SpanText.ago(seconds: (now() - moment).inSeconds))
    }

    /// The time from `start` to `end`, or to now where it has not ended; a dash where it has not started.
    static func span(from start: String?, to end: String?) -> StyledText {
        guard let start = start.flatMap(Timestamp.init(rfc3339:)) else { return StyledText("–", .dim) }
        let end = end.flatMap(Timestamp.init(rfc3339:)) ?? now()
        return StyledText(SpanText.exact(seconds: (end - start).inSeconds))
    }
}
