/// How many requests a server gets at once.
///
/// The limit grows while that brings more tokens (or answers) a second, and falls where the server says that it is too much:
///
/// - **Start**: it doubles from 16 with each round, until a round brings no gain or the server pushes back.
/// - **Growth** after that: a tenth more each round.
/// - **No gain**: where a round brought under a twentieth more throughput than the best one, and waits grew by a fifth, the server
///   is full: the limit goes back to where the best round was, and another try follows only after 16 rounds.
/// - **Push-back** (429, 503, a refused connection, a time-out): the limit falls to 0.7 of itself (a half for a time-out),
///   once in a round, since all requests of a round saw the same server.
///
/// A round lasts until as many requests have been answered as the limit allows, and at least 100 ms.
struct ConcurrencyLimit {
    private static let startLimit = 16
    private static let roundNanosecondsMin: UInt64 = 100_000_000
    private static let pauseRounds = 16

    let most: Int
    let isAdaptive: Bool
    private(set) var limit: Int
    private var isStarting = true
    private var best: (throughput: Double, latency: Double, limit: Int)?
    private var roundStart: UInt64 = 0
    private var answers = 0
    private var work = 0.0
    private var latencies = 0.0
    /// Requests that wait in all rounds use the limit up; one that never fills tells nothing about the server.
    private var wasFull = false
    private var restingRounds = 0
    private var fellAt: UInt64 = 0
    private var latency: UInt64 = 0

    init(most: Int, isAdaptive: Bool = true) {
        self.most = most
        self.isAdaptive = isAdaptive
        limit = isAdaptive ? min(Self.startLimit, most) : most
    }

    /// Told when the limit held a request back.
    mutating func noteFull() { wasFull = true }

    /// An answer of so many tokens came after so long.
    mutating func noteAnswer(tokens: Int?, latency: UInt64, now: UInt64) {
        guard isAdaptive else { return }
        self.latency = latency
        if roundStart == 0 { roundStart = now - min(now, latency) }
        answers += 1
        work += Double(max(1, tokens ?? 1))
        latencies += Double(latency)
        guard answers >= limit, now - roundStart >= Self.roundNanosecondsMin else { return }
        endRound(now)
    }

    /// The server pushed back.
    mutating func notePushBack(isTimeout: Bool = false, now: UInt64) {
        guard isAdaptive, now >= fellAt + latency else { return }
        fellAt = now
        limit = max(1, Int(Double(limit) * (isTimeout ? 0.5 : 0.7)))
        isStarting = false
        best = nil
        restingRounds = Self.pauseRounds / 4
        beginRound(now)
    }

    private mutating func endRound(_ now: UInt64) {
        let throughput = work / Double(now - roundStart)
        let meanLatency = latencies / Double(answers)
        let isFull = wasFull
        beginRound(now)
        guard isFull else { return }
        if restingRounds > 0 {
            restingRounds -= 1
            // What was best may be so no longer, as when another client has gone.
            if restingRounds == 0 { best = (throughput, meanLatency, limit) } else { return }
        }
        if let best, limit > best.limit, throughput < best.throughput * 1.05, meanLatency > best.latency * 1.2 {
            limit = best.limit
            isStarting = false
            restingRounds = Self.pauseRounds
            return
        }
        if best.map({ throughput > $0.throughput }) ?? true { best = (throughput, meanLatency, limit) }
        limit = min(most, isStarting ? limit * 2 : limit + max(1, limit / 10))
    }

    private mutating func beginRound(_ now: UInt64) {
        (roundStart, answers, work, latencies, wasFull) = (now, 0, 0, 0, false)
    }
}
