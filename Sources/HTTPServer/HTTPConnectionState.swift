import EventLoop

/// What one connection is doing, as values: events go in, decisions come out, and nothing is read, written or timed here.
///
/// Reading and answering run side by side. A request is read (head, then body) while its answer waits, flows or is done;
/// the next request is looked at when both have ended. Times are the loop's milliseconds.
struct HTTPConnectionState {
    /// Where in a request the reading is.
    enum Reading: Equatable {
        /// Between requests: not a byte of the next one has come.
        case idle
        case head
        /// The head is done and the handler has not said what to do with the body.
        case undecidedBody
        case flowingBody
        /// The consumer asked for a pause.
        case pausedBody
        /// Nobody wants the rest of the body; it is read over so that the connection can be kept.
        case discardedBody
        case complete
        /// The last answer is given; bytes are taken in and dropped so that the peer can read it.
        case lingering
    }

    /// Where the answer to the current request is.
    enum Answer: Equatable { case none, pending, streaming, done }

    /// What follows when an answer has ended.
    enum Continuation: Equatable {
        /// Look at the next request, now or when the body has been read over.
        case next
        /// Send what is unsent, then close; with `lingering`, drop what still comes for a while first.
        case close(lingering: Bool)
    }

    /// What to do when the peer has closed its side.
    enum PeerEnd: Equatable {
        case close
        /// The request was cut off within its body.
        case failBody
        /// A complete request is being answered: a client that half-closed may still read the answer.
        case awaitAnswer
    }

    enum Expiry: Equatable {
        case nothing
        case close
        /// The peer takes nothing of what is sent to it.
        case abort
        case refuse(HTTPRefusal)
        case failBody
    }

    /// The time-outs in milliseconds.
    struct Times {
        var head, bodyIdle, keepAlive, writeStall, linger: UInt64
        var bodyBytesPerSecondMin: UInt64

        init(_ limits: HTTPLimits) {
            head = limits.headTimeout.loopMilliseconds
            bodyIdle = limits.bodyIdleTimeout.loopMilliseconds
            keepAlive = limits.keepAliveTimeout.loopMilliseconds
            writeStall = limits.writeStallTimeout.loopMilliseconds
            linger = limits.lingerTimeout.loopMilliseconds
            bodyBytesPerSecondMin = UInt64(max(0, limits.bodyBytesPerSecondMin))
        }
    }

    private let times: Times
    private let drainedBodyBytesMax: Int64
    private(set) var reading = Reading.idle
    private(set) var answer = Answer.none
    /// Whether the connection outlives the current answer.
    private(set) var keepsAlive = true
    /// Whether the server is shutting down, so that each answer is the connection's last.
    private(set) var isDraining = false
    private(set) var hasPeerEnded = false
    private var isContinueOwed = false
    /// Bytes of the body that are still to come; none where only the end of the chunks will tell.
    private var bodyRest: Int64? = 0
    private var discardedBytes: Int64 = 0

    /// The start of the span that the current time-out measures.
    private var readingSince: UInt64
    private var rateSince: UInt64 = 0
    private var rateBytes: UInt64 = 0
    private var unsentSince: UInt64?

    init(times: Times, drainedBodyBytesMax: Int64, now: UInt64) {
        self.times = times
        self.drainedBodyBytesMax = drainedBodyBytesMax
        readingSince = now
    }

    // MARK: Reading

    /// Whether bytes that have come may be looked at.
    var canParse: Bool {
        switch reading {
        case .idle, .head: answer == .none && keepsAlive
        case .flowingBody, .discardedBody: true
        case .undecidedBody, .pausedBody, .complete, .lingering: false
        }
    }

    /// Whether bytes that are parsed belong to a body.
    var isInBody: Bool {
        switch reading {
        case .flowingBody, .pausedBody, .discardedBody: true
        case .idle, .head, .undecidedBody, .complete, .lingering: false
        }
    }

    /// Bytes of a request are about to be parsed.
    mutating func bytesArrive(now: UInt64) {
        if reading == .idle { enter(.head, now) }
    }

    /// A head has been accepted; its request goes to the handler.
    mutating func headEnded(hasBody: Bool, contentLength: Int64?, keepsAlive: Bool, expectsContinue: Bool, now: UInt64) {
        precondition(reading == .head && answer == .none, "a head ended out of turn")
        answer = .pending
        self.keepsAlive = keepsAlive && !isDraining
        isContinueOwed = hasBody && expectsContinue
        bodyRest = hasBody ? contentLength : 0
        enter(hasBody ? .undecidedBody : .complete, now)
    }

    /// The handler wants the body. Returns whether the interim answer `100 Continue` is due now (RFC 9110 §10.1.1).
    mutating func bodyWanted(now: UInt64) -> Bool {
        guard reading == .undecidedBody else { return false }
        enter(.flowingBody, now)
        defer { isContinueOwed = false }
        return isContinueOwed
    }

    mutating func bodyPaused() {
        if reading == .flowingBody { reading = .pausedBody }
    }

    mutating func bodyResumed(now: UInt64) {
        if reading == .pausedBody { enter(.flowingBody, now) }
    }

    /// Bytes of the body came. False when too many come that nobody wants, and the connection is better closed.
    mutating func bodyArrived(_ count: Int, now: UInt64) -> Bool {
        readingSince = now
        rateBytes += UInt64(count)
        if let rest = bodyRest { bodyRest = max(0, rest - Int64(count)) }
        guard reading == .discardedBody else { return true }
        discardedBytes += Int64(count)
        return discardedBytes <= drainedBodyBytesMax
    }

    /// The request has been read to its end.
    mutating func messageEnded(now: UInt64) {
        enter(.complete, now)
        beginNextIfDone(now)
    }

    /// The body cannot be read to its end, so no request can follow it on this connection.
    mutating func bodyFailed() {
        keepsAlive = false
        bodyRest = nil
        reading = .undecidedBody
    }

    /// The request is answered by the server itself, and nothing can be read after it.
    mutating func refused() {
        keepsAlive = false
        answer = .pending
    }

    // MARK: Answering

    /// The handler begins to answer. Returns whether the connection is kept, which the answer's head must say.
    mutating func answerBegan(isStreamed: Bool, wantsClose: Bool) -> Bool {
        precondition(answer == .pending, "an answer began out of turn")
        answer = isStreamed ? .streaming : .pending
        if wantsClose || isDraining || !canReadOver { keepsAlive = false }
        return keepsAlive
    }

    /// Whether the rest of an unwanted body is small enough to read it over.
    private var canReadOver: Bool {
        switch reading {
        // A client that waits for `100 Continue` and gets a final answer may or may not send the body: no telling.
        case .undecidedBody: !isContinueOwed && (bodyRest ?? .max) <= drainedBodyBytesMax
        case .head: false
        default: true
        }
    }

    mutating func answerEnded(hasPendingBytes: Bool, now: UInt64) -> Continuation {
        answer = .done
        guard keepsAlive, !isDraining, !hasPeerEnded || hasPendingBytes else {
            let mayStillSend = reading != .complete || hasPendingBytes
            return .close(lingering: mayStillSend && !hasPeerEnded)
        }
        switch reading {
        case .undecidedBody, .flowingBody, .pausedBody:
            guard (bodyRest ?? 0) <= drainedBodyBytesMax else {
                keepsAlive = false
                return .close(lingering: true)
            }
            discardedBytes = 0
            enter(.discardedBody, now)
        default: break
        }
        beginNextIfDone(now)
        return .next
    }

    private mutating func beginNextIfDone(_ now: UInt64) {
        guard answer == .done, reading == .complete else { return }
        answer = .none
        enter(.idle, now)
    }

    // MARK: Ending

    /// The server shuts down. Returns whether the connection can be closed at once.
    mutating func drain() -> Bool {
        isDraining = true
        if answer != .streaming { keepsAlive = false }
        return reading == .idle || (reading == .head && answer == .none)
    }

    /// The peer has closed its side of the connection and all bytes before that have been looked at.
    mutating func peerEnded() -> PeerEnd {
        hasPeerEnded = true
        switch reading {
        case .idle, .head, .discardedBody, .lingering: return answer == .pending || answer == .streaming ? .awaitAnswer : .close
        case .undecidedBody, .flowingBody, .pausedBody: return .failBody
        case .complete: return .awaitAnswer
        }
    }

    mutating func linger(now: UInt64) { enter(.lingering, now) }

    // MARK: Time

    /// Bytes began to wait for the peer, or the peer took some of those that wait.
    mutating func unsentChanged(isWaiting: Bool, now: UInt64) { unsentSince = isWaiting ? now : nil }

    /// When something is to happen unless an event comes before.
    var deadline: UInt64? {
        let read = readDeadline
        guard let unsentSince else { return read }
        let write = unsentSince + times.writeStall
        return read.map { min($0, write) } ?? write
    }

    private var readDeadline: UInt64? {
        switch reading {
        case .idle: readingSince + times.keepAlive
        case .head: answer == .none ? readingSince + times.head : nil
        case .flowingBody, .discardedBody: readingSince + times.bodyIdle
        case .lingering: readingSince + times.linger
        case .undecidedBody, .pausedBody, .complete: nil
        }
    }

    /// The timer fired; says what has expired. The rate of a body is checked whenever that happens.
    mutating func timePassed(now: UInt64) -> Expiry {
        if let unsentSince, now >= unsentSince + times.writeStall { return .abort }
        guard let deadline = readDeadline else { return .nothing }
        let isDue = now >= deadline
        switch reading {
        case .idle, .lingering: return isDue ? .close : .nothing
        case .head: return isDue ? .refuse(HTTPRefusal(.requestTimeout, "request_timeout", "The request's head took too long.")) : .nothing
        case .flowingBody: return isDue || isBodyTooSlow(now) ? .failBody : .nothing
        case .discardedBody: return isDue || isBodyTooSlow(now) ? .close : .nothing
        case .undecidedBody, .pausedBody, .complete: return .nothing
        }
    }

    private mutating func isBodyTooSlow(_ now: UInt64) -> Bool {
        let span = now - rateSince
        guard span >= times.bodyIdle else { return false }
        defer {
            rateSince = now
            rateBytes = 0
        }
        return rateBytes < times.bodyBytesPerSecondMin * span / 1000
    }

    private mutating func enter(_ reading: Reading, _ now: UInt64) {
        self.reading = reading
        readingSince = now
        rateSince = now
        rateBytes = 0
    }
}
