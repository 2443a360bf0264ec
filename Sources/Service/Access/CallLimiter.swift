import Domain
import EventLoop
import Synchronization

/// How often somebody may ask: steadily, and at once after a pause.
public struct CallRate: Sendable, Hashable {
    public var perSecond: Double
    public var burst: Double

    public init(perSecond: Double, burst: Double) {
        self.perSecond = perSecond
        self.burst = burst
    }
}

/// What each caller may ask of the daemon. A stream, or a request that is held until something happens, counts as one request however long.
public struct CallLimits: Sendable, Hashable {
    /// Of a token, or of an attempt.
    public var token = CallRate(perSecond: 1000, burst: 5000)
    /// Of an address; those of this machine that no proxy speaks for are not held to it.
    public var address = CallRate(perSecond: 1000, burst: 5000)
    /// Streams and held requests that a token, or an address without one, may have open.
    public var streams = 500
    /// Unknown tokens from an address, after which only those that it has used before are looked at for a while.
    public var failures = CallRate(perSecond: 0.1, burst: 20)

    public init() {}
}

/// A place among a caller's streams; it is given back when nobody holds this any more.
public final class StreamPlace: Sendable {
    private let giveBack: @Sendable () -> Void

    fileprivate init(_ giveBack: @escaping @Sendable () -> Void) { self.giveBack = giveBack }

    deinit { giveBack() }
}

/// Counts what each caller asks, and says when it is too much.
///
/// What is remembered is bounded: of callers that have asked nothing for a while nothing need be known.
public final class CallLimiter: Sendable {
    /// Thrown with how long to wait.
    public struct Excess: Error {
        public var seconds: Int
    }

    private struct Bucket {
        var level: Double
        var at: ContinuousClock.Instant
    }

    private struct Opened {
        var token: String?
        var close: @LoopActor @Sendable () -> Void
    }

    private struct State {
        var buckets: [String: Bucket] = [:]
        /// Tokens that an address has shown and that were right, by address.
        var proved: [String: Set<String>] = [:]
        var streams: [String: Int] = [:]
        var opened: [UInt64: Opened] = [:]
        var nextNumber: UInt64 = 0
    }

    public let limits: CallLimits
    private let rememberedMax: Int
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())

    public init(
        _ limits: CallLimits, rememberedMax: Int = ServiceLimits.callersRememberedMax,
        clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.limits = limits
        self.rememberedMax = rememberedMax
        self.clock = clock
    }

    /// Counts a request of an address.
    public func admit(address: String) throws(Excess) { try take("address " + address, limits.address) }

    /// Counts a request with a token, or of an attempt.
    public func admit(token id: String) throws(Excess) { try take("token " + id, limits.token) }

    private func take(_ key: String, _ rate: CallRate) throws(Excess) {
        let moment = clock()
        let wait = state.withLock { state -> Double in
            var bucket = Self.bucket(&state, key, rate, moment, rememberedMax)
            defer { state.buckets[key] = bucket }
            guard bucket.level < 1 else {
                bucket.level -= 1
                return 0
            }
            return (1 - bucket.level) / rate.perSecond
        }
        if wait > 0 { throw Excess(seconds: max(1, Int(wait.rounded(.up)))) }
    }

    private static func bucket(
        _ state: inout State, _ key: String, _ rate: CallRate, _ moment: ContinuousClock.Instant, _ rememberedMax: Int
    ) -> Bucket {
        guard let known = state.buckets[key] else {
            if state.buckets.count >= rememberedMax { forget(&state, at: moment) }
            return Bucket(level: rate.burst, at: moment)
        }
        return Bucket(level: min(rate.burst, known.level + (moment - known.at).inSeconds * rate.perSecond), at: moment)
    }

    /// Forgets those that have asked nothing for longest.
    private static func forget(_ state: inout State, at moment: ContinuousClock.Instant) {
        let kept = state.buckets.sorted { $0.value.at > $1.value.at }.prefix(state.buckets.count / 2)
        state.buckets = Dictionary(kept.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        state.proved = state.proved.filter { state.buckets["failures " + $0.key] != nil || state.buckets["address " + $0.key] != nil }
    }

    // MARK: Wrong tokens

    /// Throws where so many unknown tokens came from an address that no further one is looked at.
    ///
    /// - Parameter proof: the digest of what is shown; a token that this address has shown before goes through.
    public func checkGuessing(from address: String, proof: String) throws(Excess) {
        let (moment, rate) = (clock(), limits.failures)
        let wait = state.withLock { state -> Double in
            guard state.buckets["failures " + address] != nil, state.proved[address]?.contains(proof) != true else { return 0 }
            let bucket = Self.bucket(&state, "failures " + address, rate, moment, rememberedMax)
            return bucket.level >= 1 ? 0 : (1 - bucket.level) / rate.perSecond
        }
        if wait > 0 { throw Excess(seconds: max(1, Int(wait.rounded(.up)))) }
    }

    /// Counts an unknown token.
    public func noteFailure(from address: String) {
        let (moment, rate) = (clock(), limits.failures)
        state.withLock { state in
            var bucket = Self.bucket(&state, "failures " + address, rate, moment, rememberedMax)
            bucket.level = max(0, bucket.level - 1)
            state.buckets["failures " + address] = bucket
        }
    }

    /// Remembers that an address has shown a token that is right.
    public func noteSuccess(from address: String, proof: String) {
        state.withLock { state in
            if state.proved.count >= rememberedMax { state.proved = [:] }
            if state.proved[address, default: []].count < 64 { state.proved[address, default: []].insert(proof) }
        }
    }

    // MARK: Streams

    /// Takes one of a caller's places for streams.
    ///
    /// - Parameters:
    ///   - caller: the token, or the address.
    ///   - token: what the stream ends with.
    ///   - close: ends the stream.
    public func openStream(
        of caller: String, token: String?, close: @escaping @LoopActor @Sendable () -> Void
    ) throws(Excess) -> StreamPlace {
        let limit = limits.streams
        let number = state.withLock { state -> UInt64? in
            guard state.streams[caller, default: 0] < limit else { return nil }
            state.streams[caller, default: 0] += 1
            state.nextNumber += 1
            state.opened[state.nextNumber] = Opened(token: token, close: close)
            return state.nextNumber
        }
        guard let number else { throw Excess(seconds: 5) }
        return StreamPlace { [weak self] in self?.closed(number, of: caller) }
    }

    private func closed(_ number: UInt64, of caller: String) {
        state.withLock { state in
            state.opened[number] = nil
            let left = state.streams[caller, default: 1] - 1
            state.streams[caller] = left > 0 ? left : nil
        }
    }

    /// Ends the streams of a token that is no longer in force.
    @LoopActor
    public func closeStreams(of token: String) {
        let closures = state.withLock { state in state.opened.values.filter { $0.token == token }.map(\.close) }
        for close in closures { close() }
    }
}
