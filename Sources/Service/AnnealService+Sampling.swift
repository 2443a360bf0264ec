import APITypes
import Devices
import Domain
import EventLoop
import Store

// GPU and host metrics: read at intervals, kept for an hour, and put down to the attempts that hold the devices.
extension AnnealService {
    /// A GPU that runs kernels in less than this part of the time is idle, in percent.
    static let idlePercent = 5
    /// Between two points of an attempt's device metrics.
    private static let attributionInterval: Duration = .seconds(10)

    /// Reads the devices at intervals.
    func startSampling() {
        let interval = configuration.sampleInterval
        sampleTimer = LoopTimer(after: .zero, every: interval) { [weak self] in
            guard let self, phase == .ready, !isSampling else { return }
            isSampling = true
            background("reading the devices") { [self] in
                defer { isSampling = false }
                let (devices, folder) = (devices, configuration.dataDirectory)
                let (gpus, host) = try await gpuThread.run { (devices.fullReadings(), HostReadings.read(dataDirectory: folder)) }
                try await take(DeviceHistory.Sample(at: now, gpus: gpus, host: host))
            }
        }
    }

    private func take(_ sample: DeviceHistory.Sample) async throws {
        let elapsed = history.latest.map { sample.at - $0.at } ?? .zero
        history.append(sample)
        account(sample, elapsed)
        guard sample.at - lastAttribution >= Self.attributionInterval - .milliseconds(500) else { return }
        lastAttribution = sample.at
        try await attribute(sample)
    }

    /// Counts the time that attempts hold GPUs, and that in which those do nothing.
    private func account(_ sample: DeviceHistory.Sample, _ elapsed: Duration) {
        let utilization = Dictionary(sample.gpus.map { ($0.uuid, $0.utilization) }, uniquingKeysWith: { first, _ in first })
        for job in jobs.values {
            guard let attempt = job.attempt, attempt.startedAt != nil, !attempt.allocation.gpus.isEmpty else { continue }
            let part = attempt.allocation.gpuShare > 0 ? Double(attempt.allocation.gpuShare) / 1000 : 1
            var isIdle = true
            for gpu in attempt.allocation.gpus {
                attempt.unsavedAccount.gpuSeconds += elapsed.inSeconds * part
                if let percent = utilization[gpu] ?? nil, percent < Self.idlePercent {
                    attempt.unsavedAccount.idleSeconds += elapsed.inSeconds * part
                } else {
                    isIdle = false
                }
            }
            attempt.idleSince = isIdle ? attempt.idleSince ?? sample.at : nil
            for index in attempt.alerts.indices {
                guard let text = attempt.alerts[index].take(idle: attempt.idleSince.map { sample.at - $0 }) else { continue }
                raise(attempt.alerts[index].rule, text, of: attempt, job: job, step: nil)
            }
        }
    }

    /// Writes the readings down as metrics of the attempts that hold the devices, under the names that NeMo RL's dashboards use.
    ///
    /// Their steps are whole seconds since the job first started (RL nemo_rl/utils/logger.py: RayGpuMonitorLogger).
    private func attribute(_ sample: DeviceHistory.Sample) async throws {
        let readings = Dictionary(sample.gpus.map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
        var batches: [(String, [MetricPoint], GPUAccount)] = []
        for job in jobs.values {
            guard let attempt = job.attempt, let started = attempt.startedAt, sample.at - started >= Self.attributionInterval else {
                continue
            }
            if job.firstStartedAt == nil { job.firstStartedAt = started }
            let step = Int((sample.at - (job.firstStartedAt ?? started)).inSeconds)
            guard step >= 0 else { continue }
            var points: [MetricPoint] = []
            func add(_ key: String, _ value: Double?) {
                if let value { points.append(MetricPoint(key: key, step: step, at: sample.at, value: value)) }
            }
            for gpu in attempt.allocation.gpus.compactMap({ readings[$0] }) {
                add("ray/node.0.gpu.\(gpu.index).util", gpu.utilization.map(Double.init))
                add("ray/node.0.gpu.\(gpu.index).mem_gb", gpu.memoryUsedBytes.map { Double($0) / Double(1 << 30) })
                add("system/gpu.\(gpu.index).power_watts", gpu.powerMilliwatts.map { Double($0) / 1000 })
                add("system/gpu.\(gpu.index).temperature", gpu.temperature.map(Double.init))
            }
            // The host is the whole machine's; only those that hold a GPU are likely to have it for themselves.
            if !attempt.allocation.gpus.isEmpty {
                add("ray/node.0.mem_gb", Double(sample.host.memoryUsed) / Double(1 << 30))
                add("ray/node.0.mem_total_gb", Double(sample.host.memoryTotal) / Double(1 << 30))
            }
            if !points.isEmpty {
                attempt.hasMetrics = true
                batches.append((attempt.id, points, attempt.unsavedAccount))
                attempt.unsavedAccount = GPUAccount(gpuSeconds: 0, idleSeconds: 0)
            }
        }
        guard !batches.isEmpty else { return }
        let written = batches
        try await store.write { writer in
            for (attempt, points, account) in written {
                try writer.appendMetrics(attempt: attempt, points: points, at: sample.at)
                try writer.add(account, attempt: attempt)
            }
        }
    }

    /// The devices' readings over the last seconds.
    public func deviceHistory(seconds: Int) -> DeviceHistoryView {
        let samples = history.recent(seconds, count: ServiceLimits.deviceSamplesMax)
        let times = samples.map { Double($0.at.milliseconds) / 1000 }
        let gpus = (history.latest?.gpus ?? []).enumerated().map { index, gpu in
            func column(_ value: (GPUDevice) -> Double?) -> [Double?] {
                samples.map { index < $0.gpus.count ? value($0.gpus[index]) : nil }
            }
            return DeviceHistoryView.GPU(
                id: gpu.uuid, index: gpu.index, name: gpu.name, simulated: gpu.isSimulated, times: times,
                utilization: column { $0.utilization.map { Double($0) / 100 } },
                memoryBytes: column { $0.memoryUsedBytes.map(Double.init) },
                powerWatts: column { $0.powerMilliwatts.map { Double($0) / 1000 } }, temperature: column { $0.temperature.map(Double.init) }
            )
        }
        let loads = zip(samples, samples.dropFirst()).map { $1.host.load(since: $0.host) }
        return DeviceHistoryView(
            gpus: gpus,
            host: DeviceHistoryView.Host(
                times: times, cpu: samples.isEmpty ? [] : [loads.first ?? nil] + loads,
                memoryBytes: samples.map { Double($0.host.memoryUsed) }))
    }

    /// GPU-hours by project, experiment or job, the most first; those of attempts that run count up to now.
    public func usage(by group: UsageGroup, since: Timestamp?) async throws -> UsageView {
        let moment = now
        let rows = try await store.read { try $0.gpuUsage(by: group.column, since: since ?? Timestamp(milliseconds: 0), now: moment) }
        return UsageView(
            by: group.rawValue,
            data: rows.map { row in
                UsageView.Row(
                    name: row.name, gpuHours: row.gpuSeconds / 3600, idleGPUHours: min(row.idleSeconds, row.gpuSeconds) / 3600,
                    attempts: row.attempts)
            })
    }
}

/// What GPU-hours are summed up by.
public enum UsageGroup: String, Sendable, CaseIterable {
    case project, user, experiment, job

    var column: GPUUsageColumn {
        switch self {
        case .project: .project
        case .user: .user
        case .experiment: .experiment
        case .job: .job
        }
    }
}
