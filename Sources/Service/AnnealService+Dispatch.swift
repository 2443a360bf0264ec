import Domain
import EventLoop
import Glibc
import JSON
import Store
import Supervision

// From a scheduler's decision to a running worker.
extension AnnealService {
    /// Starts an attempt of a job on the resources that the scheduler gave it.
    func dispatch(_ job: ActiveJob, gpus: [String]) {
        background("starting job \(job.id)") { [self] in
            do {
                try await start(job, gpus: gpus)
            } catch {
                log.error("a job could not be started", metadata: ["job": "\(job.id)", "error": "\(error)"])
                scheduler.release(job.id)
                job.isDispatched = false
                try await fail(job.id, reason: .startFailed, message: (error as? ServiceError)?.detail ?? "\(error)")
                schedule()
            }
        }
    }

    private func start(_ job: ActiveJob, gpus: [String]) async throws {
        let facts = try await store.read { reader -> (JobRecord, JobRecord?, String)? in
            guard let record = try reader.job(job.id), record.state == .queued,
                let experiment = try reader.experimentName(record.experimentID)
            else { return nil }
            let twin = record.cacheEnabled ? try record.cacheKey.flatMap { try reader.succeededJob(cacheKey: $0) } : nil
            return (record, twin, experiment)
        }
        guard let (record, twin, experiment) = facts else { return withdraw(job) }
        if let twin { return try await useTwin(job, twin) }
        let resolved = try await resolve(record)
        let command = try WorkerCommand.make(kind: record.kind, spec: resolved.spec, configuration: configuration)
        let token = TokenHash.makeToken()
        let attempt = try await openAttempt(record, gpus: gpus, token: token)
        guard let attempt else { return withdraw(job) }
        job.attempt = attempt
        attemptsByToken[attempt.tokenHash] = attempt.id
        let launch = AttemptLaunch(
            directory: attempt.directory, argv: command.argv,
            environment: environment(of: record, resolved, attempt, gpus: gpus, token: token, command: command, experiment: experiment),
            workingDirectory: record.workingDirectory ?? configuration.outputDirectory(jobID: record.id), timeLimit: record.timeout,
            ladder: record.grace.map { StopLadder(terminateGrace: $0) } ?? StopLadder(),
            jobDocument: jobDocument(of: record, resolved, attempt, gpus: gpus, experiment: experiment))
        do {
            let handle = try await supervisor.start(launch) { [weak self] event in self?.attemptEvent(event, job: job, attempt: attempt) }
            follow(attempt, job: job, kind: record.kind)
            attempt.handle = handle
            if let request = job.stopRequest { try await handle.stop(reason: request.rawValue) }
        } catch {
            let message = "the supervisor could not be started: \(error)"
            try await close(
                job, attempt, AttemptOutcome(attemptState: .failed, disposition: .fail, reason: .startFailed, message: message), exit: nil)
        }
    }

    /// Gives back the resources of a job that was cancelled or paused between the decision and its start.
    private func withdraw(_ job: ActiveJob) {
        scheduler.release(job.id)
        job.isDispatched = false
        schedule()
    }

    private func useTwin(_ job: ActiveJob, _ twin: JobRecord) async throws {
        let moment = now
        try await store.write { try Self.finishFromCache(job.id, twin: twin, in: $0, at: moment) }
        scheduler.release(job.id)
        finished(job.id, as: .succeeded)
        schedule()
    }

    /// Writes the attempt down before its process exists; `nil` where the job is no longer queued.
    private func openAttempt(_ record: JobRecord, gpus: [String], token: String) async throws -> RunningAttempt? {
        let id = identifiers.next(.attempt)
        let directory = configuration.attemptDirectory(id)
        let checkpoints = configuration.checkpointDirectory(jobID: record.id)
        let outputs = configuration.outputDirectory(jobID: record.id)
        let isTraining = record.kind == .train
        let resumed = try await files.run { () throws -> Int? in
            try Folders.create(checkpoints)
            try Folders.create(outputs)
            return try isTraining ? CheckpointFolders.steps(in: checkpoints).max() : nil
        }
        let moment = now
        let tokenHash = TokenHash.of(token)
        let number = try await store.write { writer -> Int? in
            let number = try writer.attempts(job: record.id).count + 1
            guard try writer.transition(job: record.id, from: [.queued], to: .starting, at: moment) != nil
            else { return nil }
            try writer.insert(
                attempt: AttemptRecord(
                    id: id, jobID: record.id, number: number, gpus: gpus, cpus: record.resources.cpus,
                    memoryBytes: record.resources.memoryBytes,
                    directory: directory, tokenHash: tokenHash, resumedFromStep: resumed, createdAt: moment))
            return number
        }
        return number.map { RunningAttempt(id: id, number: $0, directory: directory, tokenHash: tokenHash, resumedFromStep: resumed) }
    }

    /// The variables of the worker contract, below those that the spec gives.
    private func environment(
        of record: JobRecord, _ resolved: ResolvedJob, _ attempt: RunningAttempt, gpus: [String], token: String, command: WorkerCommand,
        experiment: String
    ) -> [(String, String)] {
        var environment: [(String, String)] = Self.inherited.compactMap { name in
            getenv(name).map { (name, String(cString: $0)) }
        }
        environment += command.environment.map { ($0.name, $0.value) }
        for (name, value) in resolved.spec["env"]?.object ?? [:] { environment.append((name, value.string ?? value.description)) }
        environment += [
            ("ANNEAL_ATTEMPT_DIR", attempt.directory), ("ANNEAL_SPEC", attempt.directory + "/job.json"), ("ANNEAL_JOB_ID", record.id),
            ("ANNEAL_ATTEMPT_ID", attempt.id), ("ANNEAL_ATTEMPT", String(attempt.number)),
            ("ANNEAL_EXPERIMENT", experiment), ("ANNEAL_CHECKPOINT_DIR", configuration.checkpointDirectory(jobID: record.id)),
            ("ANNEAL_OUTPUT_DIR", configuration.outputDirectory(jobID: record.id)),
            ("ANNEAL_METRICS", attempt.directory + "/metrics.jsonl"), ("ANNEAL_OUTPUTS", attempt.directory + "/outputs.json"),
            ("ANNEAL_URL", configuration.workerURL), ("ANNEAL_TOKEN", token), ("CUDA_VISIBLE_DEVICES", gpus.joined(separator: ",")),
        ]
        if let python = configuration.pythonPath { environment.append(("ANNEAL_PYTHON", python)) }
        // The last of equal names wins, as in a shell; the contract's own variables stand last.
        var merged: [String: String] = [:]
        for (name, value) in environment { merged[name] = value }
        return merged.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What workers keep of the daemon's own environment: what programs need to run, and nothing that may be secret.
    private static let inherited = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "HF_HOME",
        "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "OMP_NUM_THREADS",
    ]

    private func jobDocument(
        of record: JobRecord, _ resolved: ResolvedJob, _ attempt: RunningAttempt, gpus: [String], experiment: String
    ) -> JSONValue {
        let inputs = JSONObject(resolved.inputs.map { ($0.pointer.description, $0.document) }, uniquingKeysWith: { _, last in last })
        return [
            "version": 1, "job_id": .string(record.id), "experiment_id": .string(record.experimentID), "experiment": .string(experiment),
            "name": .string(record.name), "kind": .string(record.kind.rawValue), "engine": record.engine.map(JSONValue.string) ?? .null,
            "attempt": .int(Int64(attempt.number)), "spec": resolved.spec, "inputs": .object(inputs),
            "gpus": .array(gpus.map(JSONValue.string)),
        ]
    }
}
