import Domain

/// When waiting jobs can be expected to start, by the time limits of those before them.
///
/// It counts GPUs and CPUs without regard to which they are, starts jobs strictly in order, and takes each for as long as its limit
/// allows. Most jobs end sooner, so this is a time by which they start rather than one at which they do. It is `nil` where a job
/// without a limit is in the way.
struct Forecast {
    /// So many jobs of the queue are played through; those behind get no forecast.
    private static let jobsMax = 2_000

    private var gpus: Double
    private var cpus: Int
    private var clock: Timestamp
    /// What is given back, and when.
    private var ends: [(at: Timestamp, gpus: Double, cpus: Int)]

    init(_ state: SchedulerState, now: Timestamp) {
        clock = now
        cpus = state.free.cpus
        gpus = state.free.slots.indices.reduce(0) { $0 + (state.free.isUsable[$1] ? Double(max(0, 1000 - state.free.used[$1])) / 1000 : 0) }
        ends = state.running.values.compactMap { run in
            run.endsBy.map { (max($0, now), run.allocation.gpuCount, run.allocation.cpus) }
        }
        ends.sort { $0.at < $1.at }
    }

    /// When `target` can start; the jobs before it are given in order.
    static func start(of target: String, in state: SchedulerState, now: Timestamp) -> Timestamp? {
        var forecast = Forecast(state, now: now)
        var walk = QueueWalk(state, now: now)
        for _ in 0..<jobsMax {
            guard let job = walk.next(), let moment = forecast.play(job) else { return nil }
            if job.id == target { return moment }
        }
        return nil
    }

    private mutating func play(_ job: QueuedJob) -> Timestamp? {
        let request = job.request.choices[0]
        let wanted = request.gpuShare > 0 ? Double(request.gpuShare) / 1000 : Double(request.gpus)
        while gpus < wanted || cpus < request.cpus {
            guard !ends.isEmpty else { return nil }
            let end = ends.removeFirst()
            clock = max(clock, end.at)
            gpus += end.gpus
            cpus += end.cpus
        }
        gpus -= wanted
        cpus -= request.cpus
        if let limit = job.timeLimit {
            let end = clock + limit
            let place = ends.firstIndex { $0.at > end } ?? ends.count
            ends.insert((end, wanted, request.cpus), at: place)
        }
        return clock
    }
}
