import Domain
import Store
import Telemetry

// What tracking clients say and ask: runs, their parameters, tags and inputs.
extension AnnealService {
    /// A run with everything that is known of it.
    public nonisolated func trackedRun(_ id: String) async throws -> TrackedRun {
        try await store.read { try Self.trackedRun(id, in: $0, whole: true) }
    }

    nonisolated static func trackedRun(_ id: String, in reader: ReadTransaction, whole: Bool) throws -> TrackedRun {
        var run: TrackedRun
        if let job = try reader.job(id) {
            run = TrackedRun(job)
        } else if let record = try reader.trackedRun(id), let job = try reader.job(record.jobID) {
            run = TrackedRun(record, experimentID: job.experimentID)
        } else {
            throw ServiceError(.notFound, "Run with id=\(id) not found")
        }
        return whole ? try complete(run, in: reader) : run
    }

    private nonisolated static func complete(_ run: TrackedRun, in reader: ReadTransaction) throws -> TrackedRun {
        var run = run
        run.params = try reader.params(run: run.id)
        run.tags = try reader.tags(run: run.id)
        if let name = run.tags.first(where: { $0.key == "mlflow.runName" })?.value, !name.isEmpty { run.name = name }
        run.inputs = try reader.inputs(run: run.id)
        let others = run.prefix.isEmpty ? try reader.trackedRuns(job: run.jobID).map(\.prefix) : []
        run.metrics = try reader.metricKeys(job: run.jobID).compactMap { summary in
            guard summary.key.hasPrefix(run.prefix), !others.contains(where: summary.key.hasPrefix) else { return nil }
            var summary = summary
            summary.key = String(summary.key.dropFirst(run.prefix.count))
            return summary
        }
        return run
    }

    /// The runs of experiments, newest first: the jobs' own and those made beside them.
    ///
    /// - Parameter experiments: identifiers; unknown ones have no runs.
    public nonisolated func trackedRuns(experiments: [String]) async throws -> [TrackedRun] {
        try await store.read { reader in
            var runs: [TrackedRun] = []
            for experiment in experiments {
                for job in try reader.jobs(experiment: experiment) {
                    runs.append(try Self.complete(TrackedRun(job), in: reader))
                    for record in try reader.trackedRuns(job: job.id) {
                        runs.append(try Self.complete(TrackedRun(record, experimentID: experiment), in: reader))
                    }
                }
            }
            return runs.sorted { ($0.startedAt?.milliseconds ?? 0, $0.id) > ($1.startedAt?.milliseconds ?? 0, $1.id) }
        }
    }

    /// Makes a run beside that of the attempt's job.
    public func createRun(attemptID: String, name: String?, user: String, tags: [(key: String, value: String)]) async throws -> TrackedRun {
        let (id, moment) = (identifiers.next(.run), now)
        let mask = secrets.maskOfSeen()
        return try await store.write { writer in
            guard let attempt = try writer.attempt(attemptID), let job = try writer.job(attempt.jobID) else {
                throw ServiceError.missing("attempt", attemptID)
            }
            let siblings = try writer.trackedRuns(job: job.id)
            guard siblings.count < ServiceLimits.runsPerJobMax else {
                throw ServiceError(.tooMany, "the job has \(siblings.count) runs already; a job may make \(ServiceLimits.runsPerJobMax)")
            }
            var title = name.flatMap { $0.isEmpty ? nil : $0 } ?? "run-\(siblings.count + 1)"
            // Two runs of a name would mix their curves.
            if siblings.contains(where: { $0.prefix == title + "/" }) { title += "-\(siblings.count + 1)" }
            let record = TrackedRunRecord(
                id: id, jobID: job.id, name: title, prefix: title + "/", user: user, status: "RUNNING", startedAt: moment)
            try writer.insert(trackedRun: record)
            for tag in tags { try writer.setTag(run: id, key: tag.key, value: mask.hiding(tag.value)) }
            return try Self.trackedRun(id, in: writer, whole: true)
        }
    }

    /// Takes a client's word on a run's name and state. Of a job's own run the state is a hint: the supervisor knows.
    public func updateRun(_ id: String, status: String?, name: String?, endedAt: Timestamp?, isDeleted: Bool? = nil) async throws
        -> TrackedRun
    {
        let moment = now
        return try await store.write { writer in
            let run = try Self.trackedRun(id, in: writer, whole: false)
            if var record = try writer.trackedRun(id) {
                record.status = status ?? record.status
                record.name = name ?? record.name
                if let status { record.endedAt = status == "RUNNING" || status == "SCHEDULED" ? nil : endedAt ?? moment }
                if let isDeleted { record.deletedAt = isDeleted ? moment : nil }
                try writer.update(trackedRun: record)
            } else {
                if isDeleted == true { throw ServiceError(.conflict, "the run '\(id)' is the job's own; it stays with its job") }
                if let name { try writer.setTag(run: id, key: "mlflow.runName", value: name) }
                if let status { try writer.setTag(run: id, key: "anneal.client_status", value: status) }
            }
            return try Self.trackedRun(run.id, in: writer, whole: true)
        }
    }

    /// Adds points, parameters and tags to a run; all of them or, where a parameter was changed, none.
    ///
    /// - Parameters:
    ///   - attemptID: who says so; `nil` for a user, whose points are taken for those of the job's last attempt.
    ///   - clientIDs: one for each point, by which a repeated request is known; empty where points are known by step and time.
    /// - Returns: how many points were new.
    @discardableResult
    public func track(
        _ batch: TrackedBatch, run id: String, attemptID: String?, source: MetricSource, clientIDs: [String] = []
    ) async throws -> Int {
        let (moment, mask) = (now, secrets.maskOfSeen())
        let (added, owner, points) = try await store.write { writer -> (Int, (job: String, attempt: String)?, [MetricPoint]) in
            let run = try Self.trackedRun(id, in: writer, whole: false)
            let attempts = try writer.attempts(job: run.jobID)
            let attempt = attemptID.flatMap { own in attempts.first { $0.id == own } } ?? attempts.last
            for param in batch.params {
                if let known = try writer.setParam(run: id, key: param.key, value: mask.hiding(param.value), attempt: attempt?.number ?? 0)
                {
                    throw TrackingError.paramChanged(key: param.key, known: known, asked: mask.hiding(param.value), run: id)
                }
            }
            for tag in batch.tags { try writer.setTag(run: id, key: tag.key, value: mask.hiding(tag.value)) }
            if batch.dropped > 0, let attempt { try writer.countDroppedMetrics(attempt: attempt.id, batch.dropped) }
            guard !batch.metrics.isEmpty else { return (0, nil, []) }
            guard let attempt else {
                throw ServiceError(.conflict, "the job '\(run.jobID)' has not run yet; there is no attempt to log for")
            }
            var points = batch.metrics
            if !clientIDs.isEmpty {
                let fresh = try writer.claim(clientIDs: clientIDs, attempt: attempt.id)
                points = zip(points, clientIDs).filter { fresh.contains($0.1) }.map(\.0)
            }
            if !run.prefix.isEmpty { for index in points.indices { points[index].key = run.prefix + points[index].key } }
            let added = try writer.appendMetrics(attempt: attempt.id, points: points, source: source, at: moment)
            return (added, (run.jobID, attempt.id), points)
        }
        if let owner, added > 0 { notice(points, ofJob: owner.job, attempt: owner.attempt, from: source) }
        return added
    }

    /// Lets the watches of a running attempt see points that came over the network.
    private func notice(_ points: [MetricPoint], ofJob jobID: String, attempt attemptID: String, from source: MetricSource) {
        guard let job = jobs[jobID], let attempt = job.attempt, attempt.id == attemptID else { return }
        let followed = points.map {
            FollowedPoint(key: $0.key, step: $0.step, seconds: Double($0.at.milliseconds) / 1000, value: $0.value)
        }
        take(followed, of: attempt, job: job, from: source)
    }

    /// Takes a tag away. False where there was none.
    public func deleteTag(run id: String, key: String) async throws -> Bool {
        try await store.write { writer in
            _ = try Self.trackedRun(id, in: writer, whole: false)
            return try writer.setTag(run: id, key: key, value: nil)
        }
    }

    /// Keeps the datasets that a run read; one that is registered here becomes an input of the job in its lineage.
    public func addInputs(_ inputs: [RunInputRecord], run id: String) async throws {
        try await store.write { writer in
            let run = try Self.trackedRun(id, in: writer, whole: false)
            for input in inputs {
                try writer.insert(input: input, run: run.id)
                guard let dataset = try writer.dataset(trackedAs: input) else { continue }
                let known = try writer.inputs(job: run.jobID)
                guard !known.contains(where: { $0.artifactID == dataset.id }) else { continue }
                try writer.insert(jobInputs: [
                    JobInputRecord(
                        jobID: run.jobID, pointer: "/tracked/\(input.name)", artifactID: dataset.id, artifactType: .dataset,
                        sha256: dataset.sha256)
                ])
            }
        }
    }

    /// The experiment that a client means by a name: of a worker always its own, under whatever name it uses.
    public nonisolated func trackedExperiment(named name: String, attemptID: String?) async throws -> ExperimentRecord? {
        try await store.read { reader in
            guard let attemptID, let attempt = try reader.attempt(attemptID), let job = try reader.job(attempt.jobID) else {
                return try reader.experiment(named: name)
            }
            return try reader.experiment(job.experimentID)
        }
    }

    /// The job that an attempt belongs to.
    public func jobID(ofAttempt id: String) async throws -> String {
        guard let attempt = try await store.read({ try $0.attempt(id) }) else { throw ServiceError.missing("attempt", id) }
        return attempt.jobID
    }

    /// Where a run's artifacts are kept.
    public nonisolated func artifactFolder(of run: TrackedRun) -> String {
        configuration.outputDirectory(jobID: run.jobID) + "/artifacts" + (run.prefix.isEmpty ? "" : "/" + run.id)
    }
}
