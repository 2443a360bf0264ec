import Domain

/// Which running jobs must end so that one of higher priority can start.
enum VictimChoice {
    /// The jobs whose end makes room for `job`, those that lose the least unsaved work; `nil` where no set of them would.
    static func choose(
        for job: QueuedJob, _ free: Availability, running: [String: RunningJob], excluding kept: Set<Int>, gpusMax: Double, now: Timestamp
    ) -> (victims: [String], placing: Placing)? {
        let candidates = running.filter { $0.value.isPreemptible && !$0.value.isStopping && $0.value.priority < job.priority }
            .map { (id: $0.key, run: $0.value, loss: $0.value.unsavedWork(at: now)) }
            .sorted { ($0.loss, $0.id) < ($1.loss, $1.id) }
        guard !candidates.isEmpty else { return nil }
        // One that is enough by itself, the cheapest; it may lose less than several cheap ones together.
        var best: (victims: [(id: String, run: RunningJob, loss: Double)], loss: Double)?
        for candidate in candidates where fits(job, free, without: [candidate.run], excluding: kept, gpusMax: gpusMax) {
            best = ([candidate], candidate.loss)
            break
        }
        var chosen: [(id: String, run: RunningJob, loss: Double)] = []
        var trial = free
        for candidate in candidates {
            chosen.append(candidate)
            trial.giveBack(candidate.run.allocation)
            guard Placing.first(of: job, in: trial, excluding: kept, gpusMax: gpusMax) != nil else { continue }
            // Those that turn out not to be needed are spared, the dearest first.
            for spare in chosen.reversed() where chosen.count > 1 {
                let rest = chosen.filter { $0.id != spare.id }
                if fits(job, free, without: rest.map(\.run), excluding: kept, gpusMax: gpusMax) { chosen = rest }
            }
            let loss = chosen.reduce(0) { $0 + $1.loss }
            if best.map({ loss < $0.loss }) ?? true { best = (chosen, loss) }
            break
        }
        guard let best else { return nil }
        var room = free
        for victim in best.victims { room.giveBack(victim.run.allocation) }
        guard let placing = Placing.first(of: job, in: room, excluding: kept, gpusMax: gpusMax, preferringBusyIn: free) else { return nil }
        return (best.victims.map(\.id).sorted(), placing)
    }

    private static func fits(
        _ job: QueuedJob, _ free: Availability, without runs: [RunningJob], excluding kept: Set<Int>, gpusMax: Double
    ) -> Bool {
        var trial = free
        for run in runs { trial.giveBack(run.allocation) }
        return Placing.first(of: job, in: trial, excluding: kept, gpusMax: gpusMax) != nil
    }
}
