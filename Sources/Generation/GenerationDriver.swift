import EventLoop
import HTTPClient

/// What a driver works through: it gives requests and takes what came of them.
@LoopActor
public protocol GenerationWork: AnyObject {
    /// The next request; `nil` where there is none left.
    func next() throws -> GenerationDriver.Asked?
    /// An answer came; the times are Unix times in milliseconds.
    func answered(_ number: Int, _ answer: GeneratedAnswer, startedAt: Int64, endedAt: Int64) throws
    /// The record is given up after so many requests.
    func failed(_ number: Int, _ failure: GenerationFailure, attempts: Int) throws
}

/// Keeps one or several servers busy with as many requests as they can take, and asks again by cause.
///
/// What is the server's fault and what the record's is told apart by what else happens: a record that used up its attempts while the
/// server answered others is given up alone; a server that answered nothing meanwhile is given up, and with the last one the generation.
@LoopActor
public final class GenerationDriver {
    /// One request with its history.
    public final class Asked {
        public let number: Int
        let body: [UInt8]
        fileprivate(set) var attempts = 0
        fileprivate var counts: [GenerationFailure.Cause: Int] = [:]
        fileprivate var firstAt: UInt64 = 0

        public init(number: Int, body: [UInt8]) { (self.number, self.body) = (number, body) }
    }

    public struct Options: Sendable {
        /// Requests in flight at once, at all servers together.
        public var concurrency: Int
        /// Whether fewer are sent where the server cannot take so many.
        public var isAdaptive = true
        public var api: GenerationSettings.API = .chat
        public var streams = false
        public var requestTimeout: Duration = .seconds(14_400)
        /// How long a server may be busy or unreachable without a single answer.
        public var patience: Duration = .seconds(120)
        /// The wait before a request is sent again; each further one is twice as long.
        public var firstDelay: Duration = .milliseconds(500)

        public init(concurrency: Int) { self.concurrency = concurrency }
    }

    /// What happens at present.
    public struct Snapshot: Sendable {
        public var inFlight: Int
        public var limit: Int
        /// Tokens of all answers so far; in those that stream, pieces stand for tokens.
        public var tokens: Int
        public var answers: Int
        public var retries: Int
    }

    private static let delayMax: Duration = .seconds(30)
    /// So many refusals and no answer mean that the server refuses whatever it is asked.
    private static let refusalsMax = 20
    /// Refusals that have nothing to do with the record: no right, or no such model or path.
    private static let generalRefusals = [401, 403, 404, 405]

    private static let wholeLookInterval: Duration = .seconds(1)

    private let options: Options
    private let work: any GenerationWork
    private let servers: [GenerationServer]
    private var pump: RequestPump?
    private var continuation: CheckedContinuation<Result<Void, any Error>, Never>?
    private var ended: Result<Void, any Error>?
    private var ready: [Asked] = []
    private var delayed = 0
    private var isExhausted = false
    private var isFilling = false
    private var mustFillAgain = false
    private var wake: LoopTimer?
    private var flying: [ObjectIdentifier: RequestTransfer] = [:]
    private var tokens = 0
    private var answers = 0
    private var refusals = 0
    private var retries = 0
    private var troubles: [GenerationFailure.Cause: (count: Int, last: String)] = [:]

    public init(servers addresses: [GenerationServer.Address], options: Options, work: any GenerationWork) {
        self.options = options
        self.work = work
        let now = SystemTime.monotonicNanoseconds()
        let share = max(1, (options.concurrency + addresses.count - 1) / max(1, addresses.count))
        servers = addresses.map {
            GenerationServer($0, limit: ConcurrencyLimit(most: share, isAdaptive: options.isAdaptive), now: now)
        }
    }

    /// Works until nothing is left. Throws `GenerationStopped` where no server is left, and what `work` throws.
    public func run() async throws {
        pump = RequestPump(connectionsMax: options.concurrency + servers.count) { [weak self] in self?.complete($0, $1) }
        // Some servers leave a stream open after its end.
        let look = LoopTimer(after: Self.wholeLookInterval, every: Self.wholeLookInterval) { [weak self] in self?.endWhole() }
        defer {
            pump = nil
            look.cancel()
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.continuation = continuation
                if let ended { return continuation.resume(returning: ended) }
                fill()
            }
        } onCancel: {
            Task { @LoopActor in self.finish(.failure(CancellationError())) }
        }
        try result.get()
    }

    /// Ends the work; requests in flight are dropped.
    public func stop(_ error: any Error) { finish(.failure(error)) }

    public var snapshot: Snapshot {
        let running = flying.values.reduce(0) { $0 + ($1.stream?.pieces ?? 0) }
        let alive = servers.filter { $0.givenUp == nil }
        return Snapshot(
            inFlight: flying.count, limit: alive.reduce(0) { $0 + $1.limit.limit }, tokens: tokens + running, answers: answers,
            retries: retries)
    }

    /// What went wrong since the last call, in words.
    public func takeTroubles() -> [String] {
        defer { troubles = [:] }
        return GenerationFailure.Cause.allCases.compactMap { cause in
            troubles[cause].map { "\($0.count) × \(cause.rawValue), the last: \($0.last)" }
        }
    }

    private func finish(_ result: Result<Void, any Error>) {
        guard ended == nil else { return }
        ended = result
        wake?.cancel()
        pump?.stop()
        flying = [:]
        continuation?.resume(returning: result)
        continuation = nil
    }

    // MARK: Sending

    /// Sends what the servers have room for.
    private func fill() {
        guard !isFilling else { return mustFillAgain = true }
        isFilling = true
        defer { isFilling = false }
        repeat {
            guard ended == nil else { return }
            mustFillAgain = false
            do {
                let now = SystemTime.monotonicNanoseconds()
                while let server = roomiest(at: now) {
                    guard let asked = try takeNext() else { break }
                    try send(asked, to: server, at: now)
                }
                if !isExhausted { for server in servers where server.inFlight >= server.limit.limit { server.limit.noteFull() } }
            } catch {
                return finish(.failure(error))
            }
            if isExhausted, ready.isEmpty, delayed == 0, flying.isEmpty { return finish(.success(())) }
            // A request may end within this call, even the last one.
            pump?.drive()
        } while mustFillAgain
        wakeAfterPause()
    }

    private func roomiest(at now: UInt64) -> GenerationServer? {
        servers.lazy.filter { $0.hasRoom(at: now) }.min { $0.load < $1.load }
    }

    private func takeNext() throws -> Asked? {
        if !ready.isEmpty { return ready.removeFirst() }
        // Records that wait for their turn are in memory: there are never more of them than may be in flight.
        guard !isExhausted, delayed < options.concurrency else { return nil }
        if let asked = try work.next() { return asked }
        isExhausted = true
        return nil
    }

    private func send(_ asked: Asked, to server: GenerationServer, at now: UInt64) throws {
        let transfer: RequestTransfer
        if let spare = server.spare.popLast() {
            transfer = spare
        } else {
            let timeout = options.requestTimeout.loopMilliseconds
            transfer = try RequestTransfer(
                url: server.address.url + options.api.path, apiKey: server.address.apiKey, timeoutMilliseconds: Int(clamping: timeout),
                streams: options.streams)
            transfer.server = server
        }
        if asked.firstAt == 0 { asked.firstAt = now }
        asked.attempts += 1
        transfer.asked = asked
        transfer.startedAt = SystemTime.now()
        transfer.startedNanoseconds = now
        transfer.prepare(asked.body)
        server.begin()
        flying[ObjectIdentifier(transfer.request)] = transfer
        pump?.start(transfer.request)
    }

    /// A server that asked for peace gets its next request when that is over.
    private func wakeAfterPause() {
        wake?.cancel()
        wake = nil
        let now = SystemTime.monotonicNanoseconds()
        guard !ready.isEmpty || !isExhausted else { return }
        let paused = servers.filter { $0.givenUp == nil && $0.pausedUntil > now }
        guard let first = paused.map(\.pausedUntil).min() else { return }
        wake = LoopTimer(after: .nanoseconds(Int64(clamping: first - now))) { [weak self] in self?.fill() }
    }

    // MARK: Receiving

    /// Ends requests whose answers have been whole for a while.
    private func endWhole() {
        guard options.streams, ended == nil else { return }
        for transfer in flying.values where transfer.noteWhole() { pump?.end(transfer.request) }
    }

    private func complete(_ request: PumpedRequest, _ ending: PumpedRequest.Ending) {
        guard ended == nil, let transfer = flying.removeValue(forKey: ObjectIdentifier(request)) else { return }
        guard let server = transfer.server, let asked = transfer.asked else { return }
        transfer.asked = nil
        server.end()
        let now = SystemTime.monotonicNanoseconds()
        let result = transfer.result(ending)
        do {
            switch result {
            case .success(let answer):
                server.noteAnswer(tokens: answer.completionTokens, latency: now - transfer.startedNanoseconds, now: now)
                answers += 1
                tokens += answer.completionTokens ?? transfer.stream?.pieces ?? 0
                try work.answered(asked.number, answer, startedAt: transfer.startedAt, endedAt: SystemTime.now())
            case .failure(var failure):
                failure.url = server.address.url
                server.note(failure, retryAfterSeconds: request.retryAfterSeconds, now: now)
                try handle(failure, asked, server, now)
            }
        } catch {
            return finish(.failure(error))
        }
        server.spare.append(transfer)
        fill()
    }

    private func handle(_ failure: GenerationFailure, _ asked: Asked, _ server: GenerationServer, _ now: UInt64) throws {
        troubles[failure.cause] = (count: (troubles[failure.cause]?.count ?? 0) + 1, last: failure.message)
        // It is no fault of the record that its server went away.
        if server.givenUp != nil { return ready.append(asked) }
        if failure.cause == .refused || failure.cause == .tooLong { return try refuse(failure, asked, server) }
        guard let attemptsMax = failure.cause.attemptsMax else {
            let silence = now - server.lastAnswerAt
            guard silence < options.patience.loopMilliseconds * 1_000_000 else {
                ready.append(asked)
                return giveUp(server, failure, after: "nothing but this for \(silence / 1_000_000_000) s")
            }
            retries += 1
            return ready.append(asked)
        }
        let count = (asked.counts[failure.cause] ?? 0) + 1
        asked.counts[failure.cause] = count
        if count < attemptsMax { return retry(asked, after: count) }
        guard server.lastAnswerAt < asked.firstAt || server.answers == 0 else {
            return try work.failed(asked.number, failure, attempts: asked.attempts)
        }
        asked.counts = [:]
        ready.append(asked)
        giveUp(server, failure, after: "\(count) times for one record, with no other answered meanwhile")
    }

    private func refuse(_ failure: GenerationFailure, _ asked: Asked, _ server: GenerationServer) throws {
        refusals += 1
        if server.answers == 0, Self.generalRefusals.contains(failure.status) {
            ready.append(asked)
            return giveUp(server, failure, after: "to the first requests")
        }
        try work.failed(asked.number, failure, attempts: asked.attempts)
        if answers == 0, refusals >= Self.refusalsMax {
            finish(
                .failure(
                    GenerationStopped(failure: failure, description: "the server refuses every request, \(refusals) so far: \(failure)")))
        }
    }

    private func retry(_ asked: Asked, after count: Int) {
        retries += 1
        var delay = options.firstDelay
        for _ in 1..<max(1, count) where delay < Self.delayMax { delay = delay * 2 }
        delayed += 1
        _ = LoopTimer(after: min(delay, Self.delayMax)) { [weak self] in
            guard let self else { return }
            delayed -= 1
            ready.append(asked)
            fill()
        }
    }

    private func giveUp(_ server: GenerationServer, _ failure: GenerationFailure, after why: String) {
        server.giveUp(failure)
        let text = "the server \(server.address.url) is given up: \(failure) (\(why))"
        guard servers.allSatisfy({ $0.givenUp != nil }) else {
            return troubles[failure.cause] = (count: troubles[failure.cause]?.count ?? 1, last: text)
        }
        finish(.failure(GenerationStopped(failure: failure, description: text)))
    }
}
