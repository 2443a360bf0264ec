import Datasets
import Domain
import EventLoop
import Generation
import Glibc
import JSON

/// A job of kind `generate`.
struct GenerateJob: Sendable {
    let context: WorkerContext

    /// Does the work and returns the content of outputs.json.
    func run() async throws -> JSONObject {
        if let parts = context.job["spec"]?["merge"], !parts.isNull { return try GenerateMerge(context: context).run() }
        do {
            return try await generate(try GenerateRequest(context: context))
        } catch let stopped as GenerationStopped {
            throw Self.failure(stopped)
        }
    }

    /// What it means for the job that no server is left.
    private static func failure(_ stopped: GenerationStopped) -> WorkerFailure {
        switch stopped.failure.cause {
        case .refused: WorkerFailure.badRequest("/server", stopped.description)
        case .unreachable:
            WorkerFailure(exitCode: WorkerFailure.ExitCode.failed, reason: .network, message: stopped.description)
        default: WorkerFailure.serverFailed(stopped.description)
        }
    }

    @LoopActor
    private func generate(_ request: GenerateRequest) async throws -> JSONObject {
        let records = try readRecords(request)
        let range = request.chunk?.range(of: records.count) ?? 0..<records.count
        try takeOver(request)
        let passes = try passes(request, recordCount: range.count)
        let failures = try FailureList(path: context.outputFolder + "/failed.jsonl")
        let journal = try GenerationJournal(path: context.attemptFolder + "/" + GenerationJournalFile.name)
        let there = passes.reduce(0) { $0 + ($1.ledger?.count ?? range.count) }
        WorkerLog.line("\(range.count) records, \(passes.count) passes")
        if there > 0 { WorkerLog.line("\(there) of \(passes.count * range.count) generations are there from an earlier attempt") }
        let reused = try begin(passes, range, request, journal)
        let make: @LoopActor (GenerationSettings) throws -> GenerateRun = { settings in
            try GenerateRun(
                request: request, settings: settings, records: records, range: range, passes: passes, failures: failures,
                journal: journal, reused: reused, metrics: context.metrics)
        }
        let isWhole = there + reused == passes.count * range.count
        let run = isWhole ? try make(request.settings) : try await ask(request, make)
        return try finish(run, failures: failures)
    }

    /// Tells the journal of what is there, and takes over what earlier jobs have. Returns how many records that were.
    private func begin(_ passes: [GenerationPass], _ range: Range<Int>, _ request: GenerateRequest, _ journal: GenerationJournal) throws
        -> Int
    {
        let reuse = GenerateReuse(job: context.job, fingerprint: request.passFingerprint)
        var reused = 0
        for pass in passes {
            let facts = GenerationEntry.Pass(
                seed: pass.seed, chunk: request.chunk?.index ?? 0, chunks: request.chunk?.count ?? 1, first: range.lowerBound,
                total: range.count, fingerprint: request.passFingerprint)
            try journal.begin(facts) { pass.ledger?.contains($0) ?? true }
            reused += try reuse.fill(pass, range: range, journal: journal)
        }
        if reused > 0 { WorkerLog.line("\(reused) of \(passes.count * range.count) generations are taken over and not asked again") }
        return reused
    }

    /// Reads the data once, so that a record that cannot be asked for is found before the first request.
    private func readRecords(_ request: GenerateRequest) throws -> RecordFile {
        var log = DatasetIssueLog()
        let records = try RecordFile(path: request.datasetPath, limit: request.limit, log: &log) { record in
            do throws(PromptTemplate.Problem) { _ = try request.prompt.prompt(for: record); return nil } catch { return error.description }
        }
        if let first = log.first.first {
            let others = log.count > 1 ? " (and \(log.count - 1) more)" : ""
            throw WorkerFailure.badData("\(request.datasetPath): \(first)\(others)", issues: log.first)
        }
        guard records.count > 0 else { throw WorkerFailure.badData("\(request.datasetPath) holds no records") }
        return records
    }

    // MARK: Files

    /// Makes sure that the files of the output folder belong to this request; those of another are removed.
    private func takeOver(_ request: GenerateRequest) throws {
        let path = context.outputFolder + "/generation.json"
        if access(path, F_OK) == 0 {
            let known = try WorkerContext.readDocument(path)["fingerprint"]?.string
            if known == request.fingerprint { return }
            WorkerLog.line("the generations that are there answer another request; they are removed")
            // What is removed: the files named below, in a folder that is this job's own.
            for name in try Folder.names(in: context.outputFolder) where name.hasPrefix("output") {
                unlink(context.outputFolder + "/" + name)
            }
        }
        try OutputsFile(path: path).write(["fingerprint": .string(request.fingerprint)])
    }

    /// The passes over the data; one whose final file is there has nothing left to do.
    private func passes(_ request: GenerateRequest, recordCount: Int) throws -> [GenerationPass] {
        try (request.seeds ?? [request.seed]).map { seed in
            let suffix = request.seeds == nil ? "" : "rs\(seed)"
            let chunk = request.chunk.map { "_chunk_\($0.index)" } ?? ""
            let path = "\(context.outputFolder)/output\(suffix.isEmpty ? "" : "-" + suffix)\(chunk).jsonl"
            let isDone = access(path + ".done", F_OK) == 0 && access(path, F_OK) == 0
            let ledger = isDone ? nil : try GenerationLedger(path: path + "-async", recordCount: recordCount)
            return GenerationPass(seed: seed, ledger: ledger, path: path, suffix: suffix)
        }
    }

    // MARK: Servers

    @LoopActor
    private func ask(_ request: GenerateRequest, _ make: @escaping @LoopActor (GenerationSettings) throws -> GenerateRun) async throws
        -> GenerateRun
    {
        var settings = request.settings
        switch request.server {
        case .started(let commands, let startupTimeout):
            return try await GenerateServers(context: context, request: request, make: make).ask(commands, startupTimeout: startupTimeout)
        case .shared(let server):
            settings.model = server.model
            if server.engine == .transformers { settings.extra = SamplingExtension.extra(model: request.model, settings) }
            let run = try make(settings)
            try await run.ask([GenerationServer.Address(url: server.url)], concurrencyMax: server.concurrencyMax)
            return run
        case .remote(let addresses, let model):
            settings.model = if let model { model } else { try await servedModel(addresses, wanted: request.model) }
            let run = try make(settings)
            try await run.ask(addresses)
            return run
        }
    }

    /// The model that running servers answer with, as the first of them that answers lists it.
    @LoopActor
    private func servedModel(_ addresses: [GenerationServer.Address], wanted: String) async throws -> String {
        for (index, address) in addresses.enumerated() {
            let server = ModelServer(baseURL: address.url, apiKey: address.apiKey, connectionsMax: 1, log: WorkerLog.line)
            do {
                let models = try await server.models()
                if models.contains(wanted) { return wanted }
                if let first = models.first { return first }
                throw WorkerFailure.serverFailed("\(address.url) lists no model; name one with 'server.model'")
            } catch let error as ModelServerError where index + 1 < addresses.count {
                WorkerLog.line("\(error)")
            }
        }
        throw WorkerFailure.serverFailed("no server lists its models")
    }

    // MARK: The end

    /// Fails where too much is missing; otherwise brings the records into order and names the outputs.
    @LoopActor
    private func finish(_ run: GenerateRun, failures: FailureList) throws -> JSONObject {
        let missing = run.total - run.done
        if missing > run.request.failuresMax {
            let text =
                "\(missing) of \(run.total) generations failed (\(failures.summary)); the first: \(failures.first ?? "unknown"); "
                + "all are listed in \(failures.path), and a retry asks for these alone"
            throw failures.canBeMended ? WorkerFailure.serverFailed(text) : WorkerFailure.badData(text)
        }
        if missing == 0 { unlink(failures.path) }
        return try GenerateOutputs(run: run, folder: context.outputFolder).document(
            failures: missing > 0 ? failures : nil)
    }
}
