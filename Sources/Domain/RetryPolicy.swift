/// When a failed attempt is followed by another, by the cause of its failure.
public struct RetryPolicy: Sendable, Hashable {
    /// What a spec may say of one cause.
    public struct Rule: Sendable, Hashable {
        /// Further attempts in a row without progress; 0 for none.
        public var limit: Int
        /// `nil` for that of the policy.
        public var delay: Duration?

        /// Creates a rule.
        public init(limit: Int, delay: Duration? = nil) { (self.limit, self.delay) = (limit, delay) }
    }

    /// What follows an attempt that ran out of GPU memory.
    public enum OutOfMemoryAction: String, Sendable, CaseIterable {
        /// It fails.
        case fail
        /// The next attempt takes half the micro-batch and twice the accumulation, so that the global batch stays.
        case halveMicroBatch = "halve_micro_batch"
    }

    /// Further attempts after the first, whatever the cause, where one can help; `nil` where the spec leaves it to the causes' defaults.
    public var limit: Int?
    /// The wait before the first retry.
    public var delay: Duration
    /// The factor by which each further wait grows.
    public var backoff: Double
    /// What the spec says of single causes; it outranks `limit` and the defaults.
    public var rules: [Reason: Rule]
    public var onOutOfMemory: OutOfMemoryAction

    /// The longest wait.
    public static let delayMax: Duration = .seconds(3600)

    /// Creates a policy.
    public init(
        limit: Int? = nil, delay: Duration = .seconds(1), backoff: Double = 2, rules: [Reason: Rule] = [:],
        onOutOfMemory: OutOfMemoryAction = .fail
    ) {
        (self.limit, self.delay, self.backoff, self.rules, self.onOutOfMemory) = (limit, delay, backoff, rules, onOutOfMemory)
    }

    /// Further attempts that may follow failures of this cause in a row.
    ///
    /// - Parameter canResume: true where the attempt left a checkpoint, so that little is lost by another.
    public func limit(for cause: Reason, canResume: Bool) -> Int {
        if let rule = rules[cause] { return rule.limit }
        if Self.permanent.contains(cause) { return 0 }
        return limit ?? Self.defaultLimit(for: cause, canResume: canResume)
    }

    private static func defaultLimit(for cause: Reason, canResume: Bool) -> Int {
        switch cause {
        case .network: 3
        case .ncclError, .gpuFault, .stalled, .nodeFailed: 2
        case .crashed, .killed, .unknown, .serverFailed: canResume ? 3 : 0
        default: 0
        }
    }

    /// The wait before the attempt that follows `failures` failed ones.
    public func delay(for cause: Reason, afterFailures failures: Int) -> Duration {
        var wait = rules[cause]?.delay ?? (cause == .network ? max(delay, .seconds(10)) : delay)
        for _ in 1..<max(1, failures) where wait < Self.delayMax { wait = .seconds(wait.inSeconds * backoff) }
        return min(wait, Self.delayMax)
    }

    /// Reasons that no retry can mend. A rule of the spec for one of them is still obeyed.
    public static let permanent: Set<Reason> = [
        .badConfig, .badData, .importError, .startFailed, .gateFailed, .cancelled, .timeout, .badReference, .nanLoss, .alert, .diskFull,
        .logLimit,
        .superseded,
    ]
}
