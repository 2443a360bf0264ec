import APITypes
import Datasets
import Domain
import EventLoop
import JSON
import Specification
import Store
import Telemetry

// How far generations are: followed from the journals of attempts, shown with samples, and lent to later jobs.
extension AnnealService {
    /// Keeps what a journal tells, with the place up to which it was read.
    func keepGenerations(
        _ batch: MetricBatch, _ cursor: MetricCursor, of attempt: RunningAttempt, job: ActiveJob, _ acknowledge: MetricAcknowledgement
    ) {
        if batch.dropped > 0 {
            log.warning(
                "lines of a generation's journal cannot be read", metadata: ["attempt": "\(attempt.id)", "lines": "\(batch.dropped)"])
        }
        background("storing generations of \(attempt.id)") { [self] in
            do {
                try await store.write { writer in
                    try writer.appendGenerations(job: job.id, attempt: attempt.id, entries: batch.entries, cursor: cursor)
                }
                acknowledge()
            } catch {
                // The file still has them: they are read again once there is room.
                acknowledge.failed()
                throw error
            }
        }
    }

    // MARK: What there is

    /// The passes of a job with their sums, and what it does at present.
    public func generations(of id: String) async throws -> GenerationsView { try await store.read { try Self.generations(of: id, in: $0) } }

    nonisolated static func generations(of id: String, in reader: ReadTransaction) throws -> GenerationsView {
        let (record, jobs) = try Self.generating(id, in: reader)
        var view = GenerationsView(jobID: id, state: record.state.rawValue)
        var recordsBySeed: [Int: Int] = [:]
        for job in jobs {
            for pass in try reader.generationPasses(job: job.id) {
                Self.add(pass, to: &view)
                recordsBySeed[pass.seed, default: 0] += pass.total
                guard view.passes.count < ServiceLimits.generationPassesMax else { continue }
                view.passes.append(try Self.view(of: pass, job: job, in: reader, others: view.passes.count))
            }
            if job.state == .running { try Self.addPresent(of: job.id, to: &view, in: reader) }
        }
        view.records = recordsBySeed.values.max() ?? 0
        let reasons = view.finishReasons.values.reduce(0, +)
        if reasons > 0 { view.truncatedShare = Double(view.finishReasons["length"] ?? 0) / Double(reasons) }
        if let rate = view.recordsPerSecond, rate > 0 { view.etaSeconds = Double(view.total - view.done - view.failed) / rate }
        view.failures = try Self.failures(of: jobs, PageRequest(), in: reader)
        return view
    }

    /// Records that were given up and have not come since.
    public func generationFailures(of id: String, page: PageRequest) async throws -> APITypes.Page<GenerationFailureView> {
        try await store.read { try Self.failures(of: try Self.generating(id, in: $0).jobs, page, in: $0) }
    }

    /// Sample records, from ledgers while a job runs and from its output afterwards.
    ///
    /// - Parameter seed: of the only pass to look at; `nil` for all.
    public func generationSamples(of id: String, count: Int, seed: Int?, randomSeed: Int) async throws -> GenerationSamplesView {
        let passes = try await store.read { reader in
            try Self.generating(id, in: reader).jobs.flatMap { try reader.generationPasses(job: $0.id) }
        }
        let chosen = passes.filter { seed == nil || $0.seed == seed }
        if let seed, chosen.isEmpty { throw ServiceError(.notFound, "the job '\(id)' has no pass with seed \(seed)") }
        let configuration = configuration
        return try await inspecting.run {
            let sources = chosen.compactMap { pass in
                GenerationFiles.find(pass, in: configuration.outputDirectory(jobID: pass.jobID), needsWhole: false)
                    .map { GenerationSampler.Source(pass: pass, file: $0) }
            }
            var sampler = GenerationSampler(sources, randomSeed: randomSeed)
            return GenerationSamplesView(data: try sampler.draw(count))
        }
    }

    /// The job, and the jobs whose passes are its generations: itself, those that it merges, or those of the job it is a copy of.
    private nonisolated static func generating(_ id: String, in reader: ReadTransaction) throws -> (job: JobRecord, jobs: [JobRecord]) {
        guard let record = try reader.job(id) else { throw ServiceError.missing("job", id) }
        guard record.kind == .generate else {
            throw ServiceError(.notFound, "the job '\(id)' is of kind \(record.kind.rawValue) and makes no generations")
        }
        let worker = try record.cachedFrom.flatMap { try reader.job($0) } ?? record
        guard worker.spec["merge"]?.object != nil else { return (record, [worker]) }
        let needs = try reader.needs(job: worker.id).compactMap { try reader.job($0) }.filter { $0.kind == .generate }
        return (record, try needs.map { try $0.cachedFrom.flatMap { try reader.job($0) } ?? $0 })
    }

    private nonisolated static func add(_ pass: GenerationPassRecord, to view: inout GenerationsView) {
        view.total += pass.total
        view.done += pass.done
        view.failed += pass.failed
        view.reused += pass.reused
        view.tokens += pass.tokens
        for (finish, count) in pass.finishes { view.finishReasons[finish.rawValue, default: 0] += count }
    }

    private nonisolated static func view(of pass: GenerationPassRecord, job: JobRecord, in reader: ReadTransaction, others: Int) throws
        -> GenerationPassView
    {
        let isActive = !job.state.isTerminal
        let hasBegun = pass.done + pass.failed > 0
        let state = pass.done == pass.total ? "complete" : !isActive ? "incomplete" : hasBegun ? "running" : "waiting"
        let isTold = state == "incomplete" && others < ServiceLimits.missingPassesMax
        let missing = isTold ? try reader.missingGenerations(pass, max: ServiceLimits.missingStretchesMax) : []
        return GenerationPassView(
            jobID: pass.jobID, seed: pass.seed, chunk: pass.chunk, first: pass.first, total: pass.total, done: pass.done,
            failed: pass.failed, reused: pass.reused, tokens: pass.tokens, state: state,
            missing: missing.map { .init(from: $0.lowerBound + pass.first, to: $0.upperBound + pass.first) },
            firstAt: pass.firstAt?.description, lastAt: pass.lastAt?.description)
    }

    /// What the worker told last of what it does.
    private nonisolated static func addPresent(of job: String, to view: inout GenerationsView, in reader: ReadTransaction) throws {
        let last = { (key: String) in try reader.curve(job: job, CurveQuery(key: key, last: 1)).points.values.last }
        if let count = try last("generate/in_flight") { view.requestsInFlight = (view.requestsInFlight ?? 0) + Int(count) }
        if let rate = try last("generate/tokens_per_second") { view.tokensPerSecond = (view.tokensPerSecond ?? 0) + rate }
        if let rate = try last("generate/requests_per_second") { view.recordsPerSecond = (view.recordsPerSecond ?? 0) + rate }
    }

    private nonisolated static func failures(of jobs: [JobRecord], _ page: PageRequest, in reader: ReadTransaction) throws
        -> APITypes.Page<GenerationFailureView>
    {
        var place = try page.after.map { try FailurePlace($0) }
        var rest = jobs[...]
        if let place { rest = jobs.drop { $0.id != place.job } }
        var found: [(FailurePlace, GenerationFailureView)] = []
        for job in rest where found.count <= page.limit {
            let after = place.map { (seed: $0.seed, position: $0.position) }
            place = nil
            for failure in try reader.generationFailures(job: job.id, after: after, limit: page.limit + 1 - found.count).items {
                found.append(
                    (
                        FailurePlace(job: job.id, seed: failure.seed, position: failure.position),
                        GenerationFailureView(
                            jobID: job.id, seed: failure.seed, record: failure.record, cause: failure.cause, message: failure.message,
                            tries: failure.tries, at: failure.at.description)
                    ))
            }
        }
        let shown = found.prefix(page.limit)
        let hasMore = found.count > shown.count
        return APITypes.Page(data: shown.map(\.1), hasMore: hasMore, next: hasMore ? shown.last?.0.text : nil)
    }

    // MARK: What later jobs take over

    /// Passes of earlier jobs whose records this one need not ask for; `nil` where there are none, or the job wants none.
    func reusableGenerations(of record: JobRecord, _ resolved: ResolvedJob) async throws -> JSONValue? {
        guard record.kind == .generate, record.cacheEnabled, let spec = resolved.spec.object, spec["merge"] == nil,
            let dataset = resolved.inputs.first(where: { $0.pointer.description == "/dataset" })
        else { return nil }
        let model = resolved.inputs.first { $0.pointer.description == "/model" }?.sha256 ?? spec["model"]?.string ?? ""
        let form = GenerationFingerprint.form(spec: spec, dataset: dataset.sha256, model: model)
        let fingerprint = ContentHash.sha256(of: form)
        let seeds = GenerationSeeds.of(spec) ?? [spec["seed"]?.int ?? 0]
        let passes = try await store.read { try Self.reusablePasses(fingerprint: fingerprint, seeds: seeds, except: record.id, in: $0) }
        guard !passes.isEmpty else { return nil }
        let configuration = configuration
        let entries = try await files.run {
            passes.compactMap { pass -> JSONValue? in
                let folder = configuration.outputDirectory(jobID: pass.jobID)
                guard let file = GenerationFiles.find(pass, in: folder, needsWhole: true) else { return nil }
                return [
                    "job_id": .string(pass.jobID), "seed": .int(Int64(pass.seed)), "first": .int(Int64(pass.first)),
                    "total": .int(Int64(pass.total)), "path": .string(file.path), "is_ledger": .bool(file.isLedger),
                ]
            }
        }
        return entries.isEmpty ? nil : ["fingerprint": .string(fingerprint), "passes": .array(entries)]
    }

    /// At most `ServiceLimits.reusePassesMax` of them, those of the first seeds first.
    nonisolated static func reusablePasses(fingerprint: String, seeds: [Int], except job: String, in reader: ReadTransaction) throws
        -> [GenerationPassRecord]
    {
        var found: [GenerationPassRecord] = []
        for seed in seeds where found.count < ServiceLimits.reusePassesMax {
            let room = min(ServiceLimits.reusePassesMax - found.count, StoreLimits.standard.pageRowsMax)
            found += try reader.generationPasses(fingerprint: fingerprint, seed: seed, except: job, limit: room)
        }
        return found
    }
}

/// The place of a failure in the list of a job's: `JOB.SEED.POSITION`.
private struct FailurePlace {
    var job: String
    var seed: Int
    var position: Int

    init(job: String, seed: Int, position: Int) { (self.job, self.seed, self.position) = (job, seed, position) }

    init(_ text: String) throws(ServiceError) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let seed = Int(parts[1]), let position = Int(parts[2]) else {
            throw ServiceError(.badRequest, "query parameter 'after': must be the 'next' of an earlier page")
        }
        self.init(job: String(parts[0]), seed: seed, position: position)
    }

    var text: String { "\(job).\(seed).\(position)" }
}
