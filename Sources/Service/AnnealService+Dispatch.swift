import Domain
import EventLoop
import Glibc
import JSON
import Scheduling
import Specification
import Store
import Supervision

// From a scheduler's decision to a running worker.
extension AnnealService {
    /// Starts an attempt of a job on the resources that the scheduler gave it.
    func dispatch(_ job: ActiveJob, _ allocation: Allocation) {
        background("starting job \(job.id)") { [self] in
            do {
                try await start(job, allocation)
            } catch let error where (error as? StoreError)?.isPassing == true || (error as? ServiceError)?.code == .diskFull {
                log.error("a job could not be started yet", metadata: ["job": "\(job.id)", "error": "\(error)"])
                scheduler.release(job.id, at: now)
                enqueue(job, notBefore: now + .seconds(1))
            } catch {
                log.error("a job could not be started", metadata: ["job": "\(job.id)", "error": "\(error)"])
                scheduler.release(job.id, at: now)
                job.isDispatched = false
                try await fail(job.id, reason: .startFailed, message: (error as? ServiceError)?.detail ?? "\(error)")
                schedule()
            }
        }
    }

    private func start(_ job: ActiveJob, _ allocation: Allocation) async throws {
        guard try await areEmpty(allocation.gpus, for: job) else { return postpone(job) }
        guard let facts = try await startFacts(of: job.id) else { return withdraw(job) }
        let (record, resolved) = (facts.record, facts.resolved)
        if record.cacheEnabled, record.state == .queued,
            let twin = try await store.read({ try $0.succeededJob(cacheKey: resolved.cacheKey, for: record.experimentID) })
        {
            return try await useTwin(job, twin)
        }
        guard let endpoints = endpoints(for: job) else { return waitAgain(job) }
        try await checkReferences(among: resolved.inputs)
        let executor = try executor(of: record.terms.cluster)
        let seen = configuration.seen(from: configuration.cluster(record.terms.cluster))
        let command = try WorkerCommand.make(kind: record.kind, spec: resolved.spec, configuration: seen)
        let reuse = try await reusableGenerations(of: record, resolved)
        let kept = record.kind == .train ? try await keptCheckpoints(of: record) : [:]
        let (secrets, secretNames) = (secrets, JobPlan.secrets(of: record.spec))
        let secretValues = secretNames.isEmpty ? [] : try await files.run { try secrets.values(of: secretNames) }
        let token = TokenHash.makeToken()
        let attempt = try await openAttempt(record, allocation, token: token)
        guard let attempt else { return withdraw(job) }
        job.attempt = attempt
        attemptsByToken[attempt.tokenHash] = job.identity(ofAttempt: attempt.id)
        arm(attempt, record)
        var launch = AttemptLaunch(
            directory: attempt.directory, argv: command.argv,
            environment: environment(of: record, resolved, attempt, token: token, command: command, experiment: facts.experiment, seen),
            workingDirectory: record.workingDirectory ?? configuration.outputDirectory(jobID: record.id), timeLimit: record.timeout,
            ladder: record.grace.map { StopLadder(terminateGrace: $0) } ?? StopLadder(),
            directories: [configuration.checkpointDirectory(jobID: record.id), configuration.outputDirectory(jobID: record.id)],
            memoryBytesMax: attempt.allocation.memoryBytes > 0 && controlGroups.limitsMemory ? attempt.allocation.memoryBytes : nil,
            jobDocument: jobDocument(
                of: record, resolved, attempt, experiment: facts.experiment, endpoints: endpoints, reuse: reuse, kept: kept))
        launch.secrets = secretValues
        // Descriptors do not reach another machine.
        if job.terms.cluster != nil { launch.secretHandover = .file }
        do {
            launch = try await enclose(launch, record, resolved, attempt)
            let predecessor = try await predecessor(of: attempt, record)
            let handle = try await executor.start(launch, of: record, attempt: attempt.id, after: predecessor) { [weak self] event in
                self?.attemptEvent(event, job: job, attempt: attempt, record: record)
            }
            // One that waits in a cluster's queue has nothing to follow yet.
            if job.terms.cluster == nil { follow(attempt, job: job, record: record) }
            attempt.handle = handle
            watchEndpoint(of: job, attempt)
            if let request = job.stopRequest { try await handle.stop(reason: request.rawValue, ladder: request.ladder) }
        } catch {
            let message = (error as? ServiceError)?.detail ?? "the supervisor could not be started: \(error)"
            try await close(
                job, attempt, AttemptOutcome(attemptState: .failed, disposition: .fail, reason: .startFailed, message: message), exit: nil)
        }
    }

    /// What is known of a job that was just put into the queue, else what the database says; `nil` where it may no longer start.
    private func startFacts(of jobID: String) async throws -> StartFacts? {
        if let facts = startFactsAtHand.removeValue(forKey: jobID) { return facts }
        let found = try await store.read { reader -> (JobRecord, String)? in
            guard let record = try reader.job(jobID), Self.startable.contains(record.state),
                let experiment = try reader.experimentName(record.experimentID)
            else { return nil }
            return (record, experiment)
        }
        guard let (record, experiment) = found else { return nil }
        return StartFacts(record: record, resolved: try await resolve(record), experiment: experiment)
    }

    /// The states from which an attempt may be started: a preempted job waits as paused.
    private nonisolated static let startable: Set<JobState> = [.queued, .paused]

    /// Gives back the resources of a job that was cancelled or paused between the decision and its start.
    private func withdraw(_ job: ActiveJob) {
        scheduler.release(job.id, at: now)
        job.isDispatched = false
        schedule()
    }

    /// Puts a job back whose GPUs turned out to be in use by somebody else; they have been marked by now.
    private func postpone(_ job: ActiveJob) {
        scheduler.release(job.id, at: now)
        enqueue(job, notBefore: nil)
    }

    private func useTwin(_ job: ActiveJob, _ twin: JobRecord) async throws {
        let moment = now
        try await store.write { try Self.finishFromCache(job.id, twin: twin, in: $0, at: moment) }
        scheduler.release(job.id, at: now)
        finished(job.id, as: .succeeded)
        schedule()
    }

    /// Writes the attempt down before its process exists; `nil` where the job may no longer start.
    private func openAttempt(_ record: JobRecord, _ allocation: Allocation, token: String) async throws -> RunningAttempt? {
        let id = identifiers.next(.attempt)
        let directory = configuration.attemptDirectory(id)
        let checkpoints = configuration.checkpointDirectory(jobID: record.id)
        let isTraining = record.kind == .train
        let resumed = isTraining ? try await files.run { try CheckpointFolders.steps(in: checkpoints).max() } : nil
        let moment = now
        let tokenHash = TokenHash.of(token)
        let cluster = record.terms.cluster
        let number = try await store.write { writer -> Int? in
            let number = try writer.attemptCount(job: record.id) + 1
            // One that a user has paused since the decision stays paused.
            if try writer.standing(job: record.id)?.reason == .preempted {
                try writer.transition(job: record.id, from: [.paused], to: .queued, at: moment)
            }
            if let cluster {
                // There it waits in another queue, and is not being started.
                guard try writer.jobState(record.id) == .queued else { return nil }
                try writer.setReason(job: record.id, .inClusterQueue, message: "handed to the cluster '\(cluster)'")
            } else {
                guard try writer.transition(job: record.id, from: [.queued], to: .starting, at: moment) != nil else { return nil }
            }
            // Before the row is on disk: of a row without a folder nobody could tell whether its worker has run.
            try Folders.create(directory)
            var attempt = AttemptRecord(
                id: id, jobID: record.id, number: number, gpus: allocation.gpus, cpus: allocation.cpus,
                memoryBytes: allocation.memoryBytes, directory: directory, tokenHash: tokenHash, resumedFromStep: resumed, createdAt: moment
            )
            attempt.gpuShare = allocation.gpuShare
            attempt.counters = allocation.counters
            attempt.cluster = cluster
            try writer.insert(attempt: attempt)
            return number
        }
        return number.map {
            RunningAttempt(
                id: id, number: $0, directory: directory, tokenHash: tokenHash, allocation: allocation, resumedFromStep: resumed,
                createdAt: moment)
        }
    }

    /// The variables of the worker contract, below those that the spec gives.
    private func environment(
        of record: JobRecord, _ resolved: ResolvedJob, _ attempt: RunningAttempt, token: String, command: WorkerCommand,
        experiment: String, _ configuration: ServiceConfiguration
    ) -> [(String, String)] {
        let isLocal = record.terms.cluster == nil
        // On a cluster the node's own environment stands in for the daemon's.
        var environment: [(String, String)] = (isLocal ? Self.inherited : []).compactMap { name in
            getenv(name).map { (name, String(cString: $0)) }
        }
        // Those of a cluster are set by its script, so that what the script's own lines set wins.
        if isLocal { environment += configuration.cluster(ClusterTerms.local)?.environment.map { ($0, $1) } ?? [] }
        environment += command.environment.map { ($0.name, $0.value) }
        environment += trackerEnvironment(of: record, attempt, token: token, experiment: experiment, configuration)
        for (name, value) in resolved.spec["env"]?.object ?? [:] { environment.append((name, value.string ?? value.description)) }
        environment += [
            ("ANNEAL_ATTEMPT_DIR", attempt.directory), ("ANNEAL_SPEC", attempt.directory + "/job.json"), ("ANNEAL_JOB_ID", record.id),
            ("ANNEAL_ATTEMPT_ID", attempt.id), ("ANNEAL_ATTEMPT", String(attempt.number)),
            ("ANNEAL_EXPERIMENT", experiment), ("ANNEAL_CHECKPOINT_DIR", configuration.checkpointDirectory(jobID: record.id)),
            ("ANNEAL_OUTPUT_DIR", configuration.outputDirectory(jobID: record.id)),
            ("ANNEAL_METRICS", attempt.directory + "/metrics.jsonl"), ("ANNEAL_OUTPUTS", attempt.directory + "/outputs.json"),
            ("ANNEAL_URL", configuration.workerURL), ("ANNEAL_TOKEN", token), ("ANNEAL_LOG_DIR", record.logDirectory ?? attempt.directory),
        ]
        if let cluster = record.terms.cluster { environment.append(("ANNEAL_CLUSTER", cluster)) }
        // A cluster sets it by itself.
        if isLocal { environment.append(("CUDA_VISIBLE_DEVICES", attempt.allocation.gpus.joined(separator: ","))) }
        // An unmodified Python program then prints the stacks of all its threads when it is stopped for a stall.
        environment.append(("PYTHONFAULTHANDLER", "1"))
        if let bytes = shareBytes(of: attempt.allocation) { environment.append(("ANNEAL_GPU_MEMORY_BYTES", String(bytes))) }
        if let python = configuration.pythonPath { environment.append(("ANNEAL_PYTHON", python)) }
        // The last of equal names wins, as in a shell; the contract's own variables stand last.
        var merged: [String: String] = [:]
        for (name, value) in environment { merged[name] = value }
        return merged.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What makes the loggers of unmodified trainers write to this daemon. The spec's own variables win.
    private func trackerEnvironment(
        of record: JobRecord, _ attempt: RunningAttempt, token: String, experiment: String, _ configuration: ServiceConfiguration
    ) -> [(String, String)] {
        [
            ("MLFLOW_TRACKING_URI", configuration.workerURL), ("MLFLOW_TRACKING_TOKEN", token), ("MLFLOW_RUN_ID", record.id),
            ("MLFLOW_EXPERIMENT_NAME", experiment), ("TRACKIO_SERVER_URL", configuration.workerURL), ("TRACKIO_WRITE_TOKEN", token),
            // What a program prints is seen when it is printed.
            ("PYTHONUNBUFFERED", "1"),
            // transformers, integrations/integration_utils.py: TensorBoardCallback.
            ("TENSORBOARD_LOGGING_DIR", (record.logDirectory ?? attempt.directory) + "/tensorboard"),
        ]
    }

    /// What workers keep of the daemon's own environment: what programs need to run, and nothing that may be secret.
    private static let inherited = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "HF_HOME",
        "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "OMP_NUM_THREADS",
        // How this machine's GPUs may talk to each other.
        "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "NCCL_NVLS_ENABLE", "NCCL_SOCKET_IFNAME", "NCCL_IB_HCA", "NCCL_TOPO_FILE", "NCCL_DEBUG",
        "NVSHMEM_DISABLE_NVLS", "TORCH_SYMM_MEM_DISABLE_MULTICAST",
    ]

    private func jobDocument(
        of record: JobRecord, _ resolved: ResolvedJob, _ attempt: RunningAttempt, experiment: String,
        endpoints: [String: ServerEndpoint], reuse: JSONValue?, kept: JSONObject
    ) -> JSONValue {
        let servers = endpoints.sorted { $0.key < $1.key }.map { ($0.key, $0.value.document) }
        let inputs = JSONObject(resolved.inputs.map { ($0.pointer.description, $0.document) }, uniquingKeysWith: { _, last in last })
        var document: JSONObject = [
            "version": 1, "job_id": .string(record.id), "experiment_id": .string(record.experimentID), "experiment": .string(experiment),
            "name": .string(record.name), "kind": .string(record.kind.rawValue), "engine": record.engine.map(JSONValue.string) ?? .null,
            "attempt": .int(Int64(attempt.number)), "spec": resolved.spec, "inputs": .object(inputs),
            "servers": .object(JSONObject(uniqueKeysWithValues: servers)),
            "gpus": .array(gpuNames(of: record, attempt).map(JSONValue.string)),
            "gpu_memory_bytes": shareBytes(of: attempt.allocation).map(JSONValue.int) ?? .null,
            "micro_batch_divisor": .int(Int64(record.microBatchDivisor)), "checkpoints_awaited": .bool(isFollowed(record.id)),
        ]
        if let reuse { document["reuse"] = reuse }
        if !kept.isEmpty { document["checkpoints_kept"] = .object(kept) }
        return .object(document)
    }

    /// What the worker may call its GPUs: those of this machine by UUID, those of a cluster's node by their place.
    private func gpuNames(of record: JobRecord, _ attempt: RunningAttempt) -> [String] {
        guard record.terms.cluster != nil else { return attempt.allocation.gpus }
        return (0..<max(record.resources.gpus, record.resources.gpuShare > 0 ? 1 : 0)).map(String.init)
    }

    /// The memory that a share of a GPU may use; `nil` for whole GPUs.
    private func shareBytes(of allocation: Allocation) -> Int64? {
        guard allocation.gpuShare > 0, let slot = capacity.slots.first(where: { $0.uuid == allocation.gpus.first }) else { return nil }
        return slot.memoryBytes / 1000 * Int64(allocation.gpuShare)
    }
}

/// What the start of a job needs to know beside what the loop remembers.
struct StartFacts: Sendable {
    var record: JobRecord
    var resolved: ResolvedJob
    /// The experiment's name.
    var experiment: String
}
