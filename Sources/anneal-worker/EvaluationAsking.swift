import EventLoop
import Generation
import JSON

/// Asks for the missing answers of an evaluation: one after the other, many at once, again by cause.
///
/// Answers that cannot be had do not keep the others from coming; they fail the evaluation at its end, and a retry asks for these alone.
@LoopActor
final class EvaluationAsking: GenerationWork {
    /// Answers that failed whose places are told of in the log.
    private static let toldMax = 20
    /// Between two lines about a server's troubles.
    private static let troublesEvery: Duration = .seconds(2)

    private let count: Int
    private let body: @LoopActor (Int) throws -> [UInt8]
    private let name: @LoopActor (Int) -> String
    private let take: @LoopActor (Int, Completion) throws -> Void
    private var cursor = 0
    private var failures = 0
    private var first: (text: String, isRefusal: Bool)?

    /// - Parameters:
    ///   - count: how many answers are asked for; the closures get their numbers from 0 on.
    ///   - name: what an answer is called in messages.
    ///   - take: gets each answer as it comes.
    init(
        count: Int, body: @escaping @LoopActor (Int) throws -> [UInt8], name: @escaping @LoopActor (Int) -> String,
        take: @escaping @LoopActor (Int, Completion) throws -> Void
    ) {
        (self.count, self.body, self.name, self.take) = (count, body, name, take)
    }

    /// Returns once all answers are there.
    ///
    /// - Parameter patience: how long the server may be busy or unreachable; `nil` for as long as is usual.
    func ask(_ server: ModelServer, requestTimeout: Duration, patience: Duration?) async throws {
        guard count > 0 else { return }
        var options = GenerationDriver.Options(concurrency: server.connectionsMax)
        options.requestTimeout = requestTimeout
        if let patience { options.patience = patience }
        let driver = GenerationDriver(servers: [server.address], options: options, work: self)
        // A server that is busy or away for minutes is told of while it is, not when all is over.
        let teller = LoopTimer(after: Self.troublesEvery, every: Self.troublesEvery) {
            for trouble in driver.takeTroubles() { WorkerLog.line(trouble) }
        }
        defer {
            teller.cancel()
            for trouble in driver.takeTroubles() { WorkerLog.line(trouble) }
        }
        do {
            try await driver.run()
        } catch let stopped as GenerationStopped {
            throw Self.failure(stopped.description, isRefusal: stopped.failure.cause == .refused)
        }
        guard let first else { return }
        let text = failures == 1 ? first.text : "\(failures) of \(count) answers failed; the first: \(first.text)"
        throw Self.failure("\(text); the others are kept, and a retry asks for what is missing", isRefusal: first.isRefusal)
    }

    /// What a server refuses is the request's fault.
    private static func failure(_ message: String, isRefusal: Bool) -> WorkerFailure {
        isRefusal
            ? WorkerFailure(exitCode: WorkerFailure.ExitCode.badRequest, reason: .badConfig, message: message) : .serverFailed(message)
    }

    func next() throws -> GenerationDriver.Asked? {
        guard cursor < count else { return nil }
        cursor += 1
        return GenerationDriver.Asked(number: cursor - 1, body: try body(cursor - 1))
    }

    func answered(_ number: Int, _ answer: GeneratedAnswer, startedAt: Int64, endedAt: Int64) throws {
        try take(
            number,
            Completion(
                content: answer.text, reasoning: answer.reasoning, finishReason: answer.finishReason, promptTokens: answer.promptTokens,
                completionTokens: answer.completionTokens, startedAt: startedAt, endedAt: endedAt))
    }

    func failed(_ number: Int, _ failure: GenerationFailure, attempts: Int) throws {
        failures += 1
        let text = "\(name(number)): \(failure)" + (attempts > 1 ? ", \(attempts) times" : "")
        if failures <= Self.toldMax { WorkerLog.line(text) }
        first = first ?? (text, failure.cause == .refused)
    }
}
