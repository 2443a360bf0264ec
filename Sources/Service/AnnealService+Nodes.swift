import Diagnosis
import Domain
import Slurm
import Store
import Supervision

// Workers on clusters: what their nodes tell of them stands in for what is read of this machine.
extension AnnealService {
    /// Between two points of what a node tells.
    private static let nodePointInterval: Duration = .seconds(10)
    /// A longer silence of a node does not count as use of its GPUs.
    private static let nodeGapMax: Duration = .seconds(60)

    /// Looks for news of a worker on a cluster: whether it has stalled, and what it uses.
    func watchNode(of job: ActiveJob) async throws {
        guard let attempt = job.attempt, attempt.startedAt != nil, !attempt.hasEnded, let slurm = attempt.slurm,
            let reading = await slurm.newReading()
        else { return }
        account(reading, of: attempt, job: job)
        try await keep(reading, of: attempt, job: job)
        guard job.stopRequest == nil, attempt.stall != nil else { return }
        attempt.stall?.observe(
            StallWatch.Reading(
                at: Double(reading.atMs) / 1000, logBytes: reading.logBytes, cpuSeconds: reading.cpuSeconds,
                gpuUtilization: reading.gpus.compactMap(\.utilization).max()))
        try await stopIfStalled(job, attempt, slurm)
    }

    /// Counts the time that it holds the node's GPUs, and that in which those do nothing.
    private func account(_ reading: NodeReading, of attempt: RunningAttempt, job: ActiveJob) {
        let moment = Timestamp(milliseconds: reading.atMs)
        defer { attempt.lastNodeReadingAt = moment }
        guard reading.gpuCount > 0, let last = attempt.lastNodeReadingAt, case let elapsed = moment - last, elapsed > .zero,
            elapsed <= Self.nodeGapMax
        else { return }
        let idle = reading.gpus.filter { $0.utilization.map { $0 < Self.idlePercent } ?? false }.count
        attempt.unsavedAccount.gpuSeconds += elapsed.inSeconds * Double(reading.gpuCount)
        attempt.unsavedAccount.idleSeconds += elapsed.inSeconds * Double(idle)
        attempt.idleSince = idle == reading.gpuCount ? attempt.idleSince ?? last : nil
        for index in attempt.alerts.indices {
            guard let text = attempt.alerts[index].take(idle: attempt.idleSince.map { moment - $0 }) else { continue }
            raise(attempt.alerts[index].rule, text, of: attempt, job: job, step: nil)
        }
    }

    /// Writes it down as metrics of the attempt, under the names that readings of this machine have.
    private func keep(_ reading: NodeReading, of attempt: RunningAttempt, job: ActiveJob) async throws {
        let moment = Timestamp(milliseconds: reading.atMs)
        if let last = attempt.lastNodePointAt, moment - last < Self.nodePointInterval - .milliseconds(500) { return }
        attempt.lastNodePointAt = moment
        if job.firstStartedAt == nil { job.firstStartedAt = attempt.startedAt }
        let step = max(0, Int((now - (job.firstStartedAt ?? now)).inSeconds))
        var points: [MetricPoint] = []
        func add(_ key: String, _ value: Double?) {
            if let value { points.append(MetricPoint(key: key, step: step, at: moment, value: value)) }
        }
        let gigabyte = Double(1 << 30)
        for gpu in reading.gpus {
            add("ray/node.0.gpu.\(gpu.index).util", gpu.utilization.map(Double.init))
            add("ray/node.0.gpu.\(gpu.index).mem_gb", gpu.memoryBytes.map { Double($0) / gigabyte })
            add("system/gpu.\(gpu.index).power_watts", gpu.powerMilliwatts.map { Double($0) / 1000 })
            add("system/gpu.\(gpu.index).temperature", gpu.temperature.map(Double.init))
        }
        add("ray/node.0.mem_gb", Double(reading.hostMemoryUsed) / gigabyte)
        add("ray/node.0.mem_total_gb", Double(reading.hostMemoryTotal) / gigabyte)
        add("system/worker.mem_gb", Double(reading.memoryBytes) / gigabyte)
        add("system/worker.cpu_seconds", reading.cpuSeconds)
        attempt.hasMetrics = true
        let account = attempt.unsavedAccount
        attempt.unsavedAccount = GPUAccount(gpuSeconds: 0, idleSeconds: 0)
        let written = points
        try await store.write { writer in
            try writer.appendMetrics(attempt: attempt.id, points: written, at: moment)
            try writer.add(account, attempt: attempt.id)
        }
    }
}
