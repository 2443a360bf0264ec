import Datasets
import Domain
import EventLoop
import Generation
import Glibc
import JSON

/// One pass over the data with one seed: its files.
struct GenerationPass {
    var seed: Int
    /// `nil` where the final file is there from an earlier attempt.
    var ledger: GenerationLedger?
    var path: String
    /// What tells it apart in names: `rs3`, or nothing for a greedy run.
    var suffix: String
}

/// The records of a generation: those that are there, those that come, and those that fail.
@LoopActor
final class GenerateRun: GenerationWork {
    /// More than the records of a usual file, so that passes do not share seeds.
    private static let seedDistance = 1_000_003

    let request: GenerateRequest
    let records: RecordFile
    let range: Range<Int>
    let passes: [GenerationPass]
    private let builder: GenerationRequestBuilder
    private let failures: FailureList
    private let journal: GenerationJournal
    /// Records that were taken over from earlier jobs.
    let reused: Int
    private let progress: GenerateProgress
    private let recordMaker: GenerationRecord
    private var cursor = 0
    private(set) var done: Int
    private var failedCount = 0

    init(
        request: GenerateRequest, settings: GenerationSettings, records: RecordFile, range: Range<Int>, passes: [GenerationPass],
        failures: FailureList, journal: GenerationJournal, reused: Int, metrics: MetricsFile
    ) throws {
        self.request = request
        self.records = records
        self.range = range
        self.passes = passes
        self.failures = failures
        self.journal = journal
        self.reused = reused
        builder = GenerationRequestBuilder(settings)
        recordMaker = GenerationRecord(reasoning: request.reasoning)
        done = passes.reduce(0) { $0 + ($1.ledger?.count ?? range.count) }
        progress = GenerateProgress(metrics: metrics, done: done, total: passes.count * range.count)
    }

    var total: Int { passes.count * range.count }
    /// Records that failed in this attempt.
    var failed: Int { failedCount }

    /// Asks for what is missing.
    ///
    /// - Parameter concurrencyMax: what the servers take at once; `nil` for as much as is sent.
    func ask(_ servers: [GenerationServer.Address], concurrencyMax: Int? = nil) async throws {
        var options = request.options
        options.concurrency = min(options.concurrency, concurrencyMax ?? options.concurrency)
        let driver = GenerationDriver(servers: servers, options: options, work: self)
        let timer = LoopTimer(after: GenerateProgress.interval, every: GenerateProgress.interval) { [weak self, weak driver] in
            guard let self, let driver else { return }
            do { try tell(driver) } catch { driver.stop(error) }
        }
        defer { timer.cancel() }
        try tell(driver)
        do {
            try await driver.run()
        } catch {
            for trouble in driver.takeTroubles() { WorkerLog.line(trouble) }
            try sync()
            throw error
        }
        try tell(driver, isLast: true)
        // A whole ledger is about to become the final file, which is brought to disk itself.
        if done < total { try sync() }
    }

    private func sync() throws {
        for pass in passes { try pass.ledger?.sync() }
    }

    private func tell(_ driver: GenerationDriver, isLast: Bool = false) throws {
        try progress.tell(driver.snapshot, done: done, failed: failedCount, troubles: driver.takeTroubles(), isLast: isLast)
    }

    // MARK: GenerationWork

    func next() throws -> GenerationDriver.Asked? {
        while cursor < total {
            let number = cursor
            cursor += 1
            let (pass, position) = (passes[number / range.count], number % range.count)
            guard let ledger = pass.ledger, !ledger.contains(position) else { continue }
            let index = range.lowerBound + position
            // The file was read whole and checked before the first request.
            let record = try JSONParser.parse(records.bytes(of: index)).object ?? [:]
            let seed = request.seedsByRecord ? pass.seed &* Self.seedDistance &+ index : pass.seed
            return GenerationDriver.Asked(number: number, body: builder.body(try request.prompt.prompt(for: record), seed: seed))
        }
        return nil
    }

    func answered(_ number: Int, _ answer: GeneratedAnswer, startedAt: Int64, endedAt: Int64) throws {
        let (pass, position) = (passes[number / range.count], number % range.count)
        let record = try recordMaker.bytes(
            input: records.bytes(of: range.lowerBound + position), answer: answer, startedAt: startedAt, endedAt: endedAt)
        try pass.ledger?.append(record, at: position)
        try journal.append(
            .done(
                seed: pass.seed,
                .init(
                    position: position, tokens: answer.completionTokens, finish: .init(reason: answer.finishReason),
                    at: Timestamp(milliseconds: endedAt))))
        done += 1
    }

    func failed(_ number: Int, _ failure: GenerationFailure, attempts: Int) throws {
        failedCount += 1
        let (pass, position) = (passes[number / range.count], number % range.count)
        let index = range.lowerBound + position
        if failedCount <= 20 {
            WorkerLog.line("record \(index)\(pass.suffix.isEmpty ? "" : " of \(pass.suffix)") failed: \(failure.placed)")
        }
        try failures.append(record: index, seed: request.seeds == nil ? nil : pass.seed, failure, attempts: attempts)
        try journal.append(
            .failed(
                seed: pass.seed,
                .init(
                    position: position, cause: failure.cause.rawValue, tries: attempts, at: Timestamp(milliseconds: SystemTime.now()),
                    message: failure.placed)))
    }
}

/// The records that failed in this attempt, a line each, beside the output.
final class FailureList {
    let path: String
    private let descriptor: Int32
    private(set) var counts: [GenerationFailure.Cause: Int] = [:]
    /// The first failure, in words.
    private(set) var first: String?

    /// Begins the list anew: what failed before is asked again.
    init(path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
    }

    deinit { close(descriptor) }

    func append(record: Int, seed: Int?, _ failure: GenerationFailure, attempts: Int) throws(FileError) {
        counts[failure.cause, default: 0] += 1
        first = first ?? "record \(record): \(failure.placed)"
        var members: JSONObject = ["record": .int(Int64(record))]
        if let seed { members["seed"] = .int(Int64(seed)) }
        members["cause"] = .string(failure.cause.rawValue)
        members["attempts"] = .int(Int64(attempts))
        members["message"] = .string(failure.message)
        if let url = failure.url { members["url"] = .string(url) }
        var line = JSONWriter(layout: .python).bytes(of: .object(members))
        line.append(0x0A)
        let result = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard result == line.count else { throw FileError(call: "write", path: path, code: result < 0 ? errno : ENOSPC) }
    }

    /// How many failed of what, in words.
    var summary: String {
        GenerationFailure.Cause.allCases.compactMap { cause in counts[cause].map { "\(cause.rawValue) \($0)" } }.joined(separator: ", ")
    }

    /// Whether asking again could help against any of them.
    var canBeMended: Bool { counts.keys.contains { $0 != .refused } }
}
