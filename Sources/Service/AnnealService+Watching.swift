import Diagnosis
import Domain
import EventLoop
import Glibc
import JSON
import Store
import Supervision
import Telemetry

// Attempts that stop making progress, lose their numbers, or are about to fill the disk are found and stopped.
extension AnnealService {
    /// Between two looks at the attempts; a stall is thus seen at most this much too late.
    private static let watchInterval: Duration = .seconds(1)
    /// Checkpoints that are looked through for one to keep or to delete.
    private nonisolated static let checkpointsSearched = 10_000
    /// Keys that are a training loss, by whatever trainer.
    private static let lossKeys: Set<String> = ["train/loss", "loss"]

    /// Gives a new attempt the watches that its job asks for.
    func arm(_ attempt: RunningAttempt, _ record: JobRecord) {
        attempt.stall = record.terms.stall.map { StallWatch(policy: $0) }
        attempt.alerts = record.terms.alerts.map { AlertWatch($0) }
        attempt.divergence = record.terms.nonFiniteSteps.map { DivergenceWatch(stepsMax: $0) }
    }

    /// Looks at the attempts at intervals, and keeps the projects' usage.
    func startWatching() {
        watchGPUs()
        startSampling()
        let sender = WebhookSender(store: store, allowsPrivate: configuration.allowsPrivateWebhooks, log: log)
        webhookSender = sender
        sender.start()
        watchTimer = LoopTimer(after: Self.watchInterval, every: Self.watchInterval) { [weak self] in
            guard let self, phase == .ready else { return }
            watchTicks += 1
            relieveStarvedServers()
            if watchTicks.isMultiple(of: 5) {
                saveUsage()
                background("looking at the disk") { [self] in try await watchDisk() }
            }
            if watchTicks.isMultiple(of: Self.tokenUseInterval) { background("noting uses of tokens") { [self] in await tidyTokens() } }
            if watchTicks % 300 == 1 {
                background("tidying metrics, webhooks, answers and the audit log") { [self] in
                    try await tidyMetrics()
                    try await forgetDeliveries()
                    try await forgetAudit()
                    try await forgetAnswers()
                    try await collectGarbageDaily()
                }
            }
            if watchTicks.isMultiple(of: 2) { for job in jobs.values { job.attempt?.metrics?.look() } }
            guard !isWatching else { return }
            isWatching = true
            background("looking for stalls") { [self] in
                defer { isWatching = false }
                for job in jobs.values {
                    if job.terms.cluster == nil { try await watchForStall(job) } else { try await watchNode(of: job) }
                }
            }
        }
    }

    /// Raises the alerts whose rules come true with new points.
    func watchAlerts(_ points: [FollowedPoint], of attempt: RunningAttempt, job: ActiveJob) {
        for index in attempt.alerts.indices {
            for point in points {
                guard let text = attempt.alerts[index].take(key: point.key, step: point.step, value: point.value) else { continue }
                raise(attempt.alerts[index].rule, text, of: attempt, job: job, step: point.step)
            }
        }
    }

    /// Looks at new points for a stall, and for a loss that is no number.
    func watch(_ points: [FollowedPoint], of attempt: RunningAttempt, job: ActiveJob) {
        for point in points {
            attempt.stall?.step(at: point.seconds, step: point.step)
            guard Self.lossKeys.contains(point.key), attempt.divergence?.take(step: point.step, loss: point.value) == .diverged else {
                continue
            }
            attempt.finding = attempt.divergence?.evidence
            let firstBad = attempt.divergence?.firstBadStep ?? point.step
            attempt.divergence = nil
            background("stopping \(attempt.id), whose loss is no number") { [self] in
                try await pinLastGoodCheckpoint(of: job, before: firstBad)
                try await stop(job.id, .nanLoss)
            }
        }
    }

    /// Keeps the newest checkpoint from before the loss went bad, whatever retention would do with it.
    private func pinLastGoodCheckpoint(of job: ActiveJob, before step: Int) async throws {
        let found = try await store.read {
            try $0.checkpoints(CheckpointFilter(jobID: job.id), limit: Self.checkpointsSearched, after: nil).items
        }
        let good = found.filter { ($0.step ?? .max) < step }.max { ($0.step ?? 0) < ($1.step ?? 0) }
        if let good { _ = try await setPinned(true, checkpoint: good.id) }
    }

    // MARK: Stalls

    private func watchForStall(_ job: ActiveJob) async throws {
        guard let attempt = job.attempt, attempt.stall != nil, let handle = attempt.handle, job.stopRequest == nil, handle.workerPID != nil
        else { return }
        let directory = attempt.directory
        let logBytes = try await files.run { Self.size(directory + "/stdout.log") + Self.size(directory + "/stderr.log") }
        // A supervisor that does not answer is no sign of a stall: without a reading nothing is known.
        guard let usage = try? await handle.usage() else { return }
        let utilization = try await gpuUtilization(attempt.allocation.gpus)
        attempt.stall?.observe(
            StallWatch.Reading(
                at: Double(now.milliseconds) / 1000, logBytes: logBytes, cpuSeconds: usage.cpuSeconds, gpuUtilization: utilization))
        try await stopIfStalled(job, attempt, handle)
    }

    /// Stops an attempt of which its watch says that it has stalled, and keeps what its processes are at.
    func stopIfStalled(_ job: ActiveJob, _ attempt: RunningAttempt, _ handle: any AttemptControl) async throws {
        guard attempt.stall?.verdict == .stalled else { return }
        attempt.finding = attempt.stall?.evidence
        attempt.stall = nil
        for watch in attempt.alerts where watch.rule.condition == .stalled {
            raise(watch.rule, attempt.finding ?? "it makes no progress", of: attempt, job: job, step: nil)
        }
        log.warning("an attempt has stalled", metadata: ["attempt": "\(attempt.id)", "evidence": "\(attempt.finding ?? "")"])
        do {
            try await handle.dump()
        } catch {
            log.warning("the stacks of a stalled worker cannot be had", metadata: ["attempt": "\(attempt.id)", "error": "\(error)"])
        }
        try await stop(job.id, .stalled)
    }

    private nonisolated static func size(_ path: String) -> Int64 {
        var information = stat()
        return stat(path, &information) == 0 ? Int64(information.st_size) : 0
    }

    /// The highest utilization among these GPUs in percent; `nil` where none tells.
    private func gpuUtilization(_ gpus: [String]) async throws -> Int? {
        guard !gpus.isEmpty, devices.listsProcesses else { return nil }
        let (devices, wanted) = (devices, Set(gpus))
        return try await gpuThread.run { devices.readings().filter { wanted.contains($0.uuid) }.compactMap(\.utilization).max() }
    }

    // MARK: Disk

    /// Makes room, or pauses trainings, before their next checkpoints fill the disk.
    private func watchDisk() async throws {
        let training = jobs.values.filter { ($0.attempt?.lastCheckpointBytes ?? 0) > 0 && $0.stopRequest == nil }
        guard !training.isEmpty else { return }
        let folder = configuration.dataDirectory
        // A tenth more, since optimizer state may grow and files have overhead.
        let needed = training.reduce(Int64(0)) { $0 + ($1.attempt?.lastCheckpointBytes ?? 0) } / 10 * 11
        guard try await files.run({ try Folders.freeBytes(folder) }) < needed else { return }
        try await pruneCheckpoints(until: needed)
        guard try await files.run({ try Folders.freeBytes(folder) }) < needed else { return }
        guard let victim = training.max(by: { ($0.priority, $1.id) > ($1.priority, $0.id) }) else { return }
        victim.attempt?.finding =
            "the next checkpoint, of about \(victim.attempt?.lastCheckpointBytes ?? 0) bytes, would not fit on the disk"
        log.warning("a training is paused before the disk is full", metadata: ["job": "\(victim.id)"])
        try await stop(victim.id, .diskFull)
    }

    /// Deletes checkpoints of jobs that have ended, the oldest first, of those that nothing refers to.
    private func pruneCheckpoints(until needed: Int64) async throws {
        let folder = configuration.dataDirectory
        let candidates = try await store.read { reader in
            try reader.checkpoints(CheckpointFilter(), limit: Self.checkpointsSearched, after: nil).items.filter { checkpoint in
                guard checkpoint.kind == .training, !checkpoint.pinned, let job = try reader.job(checkpoint.jobID), job.state.isTerminal
                else { return false }
                let isOutput = job.outputs?.object?.values.contains { $0["id"]?.string == checkpoint.id } == true
                return try !isOutput && reader.consumers(of: checkpoint.id).isEmpty
            }
        }
        for checkpoint in candidates.sorted(by: { $0.id < $1.id }) {
            guard try await files.run({ try Folders.freeBytes(folder) }) < needed else { return }
            log.notice("deleting a checkpoint to make room", metadata: ["checkpoint": "\(checkpoint.id)", "bytes": "\(checkpoint.bytes)"])
            try await deleteCheckpoint(checkpoint.id)
        }
    }
}
