/// What a policy made of a trace.
public struct SimulationResult: Sendable {
    /// Seconds from submission to the first start.
    public var meanWait: Double
    public var medianWait: Double
    public var p99Wait: Double
    public var longestWait: Double
    /// Work done, as a part of what the GPUs could have done until the last job ended.
    public var utilization: Double
    /// Jain's index over the projects' mean of run time ÷ (wait + run time): 1 where all are treated alike.
    public var fairness: Double
    /// GPU-hours that preemption cost.
    public var preemptionLossHours: Double
    /// Jobs that never started.
    public var starved: Int

    init(waits: [Double], jobs: [TraceJob], lost: Double, unstarted: Int, gpus: Int, makespan: Double) {
        let sorted = waits.sorted()
        meanWait = sorted.isEmpty ? 0 : sorted.reduce(0, +) / Double(sorted.count)
        medianWait = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        p99Wait = sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * 99 / 100)]
        longestWait = sorted.last ?? 0
        let work = jobs.reduce(0) { $0 + $1.runTime * Double($1.gpus) }
        utilization = makespan > 0 ? work / (Double(gpus) * makespan) : 0
        preemptionLossHours = lost / 3600
        starved = unstarted
        var sums: [String: (Double, Double)] = [:]
        for (job, wait) in zip(jobs, waits) {
            let (sum, count) = sums[job.project] ?? (0, 0)
            sums[job.project] = (sum + job.runTime / (wait + job.runTime), count + 1)
        }
        let shares = sums.values.map { $0.0 / $0.1 }
        let total = shares.reduce(0, +)
        let squares = shares.reduce(0) { $0 + $1 * $1 }
        fairness = squares > 0 ? total * total / (Double(shares.count) * squares) : 1
    }
}
