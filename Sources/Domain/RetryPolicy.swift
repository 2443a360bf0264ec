/// When a failed attempt is followed by another.
public struct RetryPolicy: Sendable, Hashable {
    /// Further attempts after the first.
    public var limit: Int
    /// The wait before the first retry.
    public var delay: Duration
    /// The factor by which each further wait grows.
    public var backoff: Double

    public static let delayMax: Duration = .seconds(3600)

    public init(limit: Int = 0, delay: Duration = .seconds(1), backoff: Double = 2) {
        self.limit = limit
        self.delay = delay
        self.backoff = backoff
    }

    /// The wait before the attempt that follows `failures` failed ones.
    public func delay(afterFailures failures: Int) -> Duration {
        var wait = delay
        for _ in 1..<max(1, failures) where wait < Self.delayMax { wait = .seconds(wait.inSeconds * backoff) }
        return min(wait, Self.delayMax)
    }

    /// Reasons that no retry can mend.
    public static let permanent: Set<Reason> = [.badConfig, .badData, .startFailed, .gateFailed, .cancelled, .timeout, .badReference]
}
