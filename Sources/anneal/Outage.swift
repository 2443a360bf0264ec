import Glibc

/// A time in which no daemon answers: how often to try again, and when to give up.
///
/// A restart of the daemon takes moments, and jobs outlive it; a command that follows them should too.
struct Outage {
    static let secondsMax = 300.0
    private static let delaySecondsMax = 5.0

    private var waited = 0.0
    private var delay = 0.5

    /// True from the first failure until `end`.
    var isOngoing: Bool { waited > 0 }

    /// Sleeps until the next try; throws `failure` once the outage has lasted too long.
    mutating func wait(after failure: CommandFailure) throws {
        guard waited < Self.secondsMax else { throw failure }
        Self.pause(seconds: delay)
        waited += delay
        delay = min(delay * 2, Self.delaySecondsMax)
    }

    /// The daemon has answered.
    mutating func end() { self = Outage() }

    /// Blocks the calling thread.
    static func pause(seconds: Double) {
        let whole = seconds.rounded(.down)
        var time = timespec(tv_sec: Int(whole), tv_nsec: Int((seconds - whole) * 1e9))
        nanosleep(&time, nil)
    }
}
