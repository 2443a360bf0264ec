import EventLoop

/// One server that answers, with what is known of its state.
@LoopActor
public final class GenerationServer {
    /// Where a server is.
    public struct Address: Sendable {
        public var url: String
        public var apiKey: String?

        /// - Parameter url: with or without a final `/v1`.
        public init(url: String, apiKey: String? = nil) {
            var base = url
            while base.hasSuffix("/") { base.removeLast() }
            self.url = base.hasSuffix("/v1") ? base : base + "/v1"
            self.apiKey = apiKey
        }
    }

    /// The longest wait that a server can ask for by Retry-After.
    private static let pauseMaxSeconds = 60
    private static let firstPauseNanoseconds: UInt64 = 250_000_000
    private static let pauseNanosecondsMax: UInt64 = 5_000_000_000

    let address: Address
    var limit: ConcurrencyLimit
    private(set) var inFlight = 0
    /// Transfers that wait for a request.
    var spare: [RequestTransfer] = []
    private(set) var answers = 0
    /// When it last answered; the start of the generation before that.
    private(set) var lastAnswerAt: UInt64
    /// No request goes there before; in nanoseconds of the monotonic clock.
    private(set) var pausedUntil: UInt64 = 0
    private var pause: UInt64 = 0
    /// Why it is not asked any more.
    private(set) var givenUp: GenerationFailure?

    init(_ address: Address, limit: ConcurrencyLimit, now: UInt64) {
        self.address = address
        self.limit = limit
        lastAnswerAt = now
    }

    func hasRoom(at now: UInt64) -> Bool { givenUp == nil && now >= pausedUntil && inFlight < limit.limit }

    /// How much of its limit is in use.
    var load: Double { Double(inFlight) / Double(limit.limit) }

    func begin() { inFlight += 1 }

    func end() { inFlight -= 1 }

    func noteAnswer(tokens: Int?, latency: UInt64, now: UInt64) {
        answers += 1
        lastAnswerAt = now
        pause = 0
        limit.noteAnswer(tokens: tokens, latency: latency, now: now)
    }

    /// Notes what went wrong and how long to leave the server in peace.
    func note(_ failure: GenerationFailure, retryAfterSeconds: Int, now: UInt64) {
        switch failure.cause {
        // These tell of faults, not of load.
        case .refused, .garbage, .serverError, .closed, .tooLong: return
        case .timeout: return limit.notePushBack(isTimeout: true, now: now)
        case .busy, .unreachable: limit.notePushBack(now: now)
        }
        // One pause for all requests that met the same trouble.
        guard now >= pausedUntil else { return }
        pause = min(max(pause * 2, Self.firstPauseNanoseconds), Self.pauseNanosecondsMax)
        let asked = UInt64(min(max(0, retryAfterSeconds), Self.pauseMaxSeconds)) * 1_000_000_000
        pausedUntil = now + max(asked, failure.cause == .busy && answers > 0 ? pause / 4 : pause)
    }

    func giveUp(_ failure: GenerationFailure) { givenUp = givenUp ?? failure }
}
