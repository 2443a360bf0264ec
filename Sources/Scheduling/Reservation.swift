import Domain

/// What is set aside for the first job that cannot start, so that those behind it do not delay it (EASY backfill: Lifka, "The ANL/IBM SP
/// Scheduling System", JSSPP 1995).
struct Reservation: Sendable {
    /// The job that it is for.
    var job: String
    /// When the job can start at the latest, by the time limits of those that run; `nil` where these do not say.
    var startsBy: Timestamp?
    /// The GPUs that it will take.
    var gpus: Set<Int>
    /// What is left beside it at that time.
    var spareCPUs: Int
    var spareMemoryBytes: Int64
    var spareCounters: [String: Int]

    /// Finds the earliest time at which `job` fits.
    ///
    /// - Parameters:
    ///   - free: what nobody holds now.
    ///   - running: who holds the rest.
    ///   - kept: GPUs that are kept for yet another job.
    static func make(for job: QueuedJob, _ free: Availability, running: [RunningJob], now: Timestamp, keeping kept: Set<Int>) -> Reservation
    {
        let ends = running.filter { $0.endsBy != nil }.sorted { ($0.endsBy ?? now) < ($1.endsBy ?? now) }
        var later = free
        var best: (Timestamp, Placing)?
        var index = 0
        while best == nil, index < ends.count {
            // Jobs that end at the same time give back together.
            let moment = max(ends[index].endsBy ?? now, now)
            while index < ends.count, max(ends[index].endsBy ?? now, now) == moment {
                later.giveBack(ends[index].allocation)
                index += 1
            }
            best = Placing.first(of: job, in: later, excluding: kept, preferringBusyIn: free).map { (moment, $0) }
        }
        guard let (moment, placing) = best else {
            return heldBack(for: job, free, keeping: kept)
        }
        return Reservation(
            job: job.id, startsBy: moment, gpus: Set(placing.gpus), spareCPUs: later.cpus - placing.request.cpus,
            spareMemoryBytes: later.memoryBytes - placing.request.memoryBytes,
            spareCounters: later.counters.merging(placing.request.counters) { $0 - $1 })
    }

    /// Nothing says when the others end: as much of what the job asks for as is free is held back.
    private static func heldBack(for job: QueuedJob, _ free: Availability, keeping kept: Set<Int>) -> Reservation {
        let request = job.request.choices[0]
        var held: [Int] = []
        if request.gpuShare == 0, request.gpus > 0 {
            var any = request
            any.gpus = 0
            held = Array(free.wholeCandidates(for: any, avoiding: job.avoidedGPUs, excluding: kept).prefix(request.gpus))
        }
        return Reservation(
            job: job.id, startsBy: nil, gpus: Set(held), spareCPUs: max(0, free.cpus - request.cpus),
            spareMemoryBytes: max(0, free.memoryBytes - request.memoryBytes),
            spareCounters: free.counters.merging(request.counters) { max(0, $0 - $1) })
    }

    /// True where a job that is given this does not delay the one that waits.
    func admits(_ placing: Placing, timeLimit: Duration?, now: Timestamp) -> Bool {
        if endsInTime(timeLimit, now) { return true }
        let request = placing.request
        return gpus.isDisjoint(with: placing.gpus) && request.cpus <= spareCPUs && request.memoryBytes <= spareMemoryBytes
            && request.counters.allSatisfy { spareCounters[$0.key, default: 0] >= $0.value }
    }

    func endsInTime(_ timeLimit: Duration?, _ now: Timestamp) -> Bool {
        guard let startsBy, let timeLimit else { return false }
        return now + timeLimit <= startsBy
    }

    /// Notes that a job that was let through will still hold its resources then.
    mutating func charge(_ placing: Placing, timeLimit: Duration?, now: Timestamp) {
        guard !endsInTime(timeLimit, now) else { return }
        spareCPUs -= placing.request.cpus
        spareMemoryBytes -= placing.request.memoryBytes
        for (name, units) in placing.request.counters { spareCounters[name, default: 0] -= units }
    }
}

/// A way in which a job can run: which of its choices, on which GPUs.
struct Placing: Sendable {
    var request: ResourceRequest
    /// Indexes of slots.
    var gpus: [Int]

    /// The first of the job's choices that fits into what is free.
    ///
    /// - Parameters:
    ///   - excluded: GPUs that it must not have.
    ///   - gpusMax: the most GPUs that its project may still take.
    ///   - busy: where given, GPUs that are held in it are taken first, so that those that are free now stay free.
    static func first(
        of job: QueuedJob, in free: Availability, excluding excluded: Set<Int>, gpusMax: Double = .infinity,
        preferringBusyIn busy: Availability? = nil
    ) -> Placing? {
        for request in job.request.choices where free.hasScalars(for: request) {
            if request.gpuShare > 0 {
                guard Double(request.gpuShare) / 1000 <= gpusMax else { continue }
                guard let index = free.shareCandidate(for: request, avoiding: job.avoidedGPUs, excluding: excluded) else { continue }
                return Placing(request: request, gpus: [index])
            }
            guard Double(request.gpus) <= gpusMax else { continue }
            if request.gpusMax == 0 { return Placing(request: request, gpus: []) }
            var candidates = free.wholeCandidates(for: request, avoiding: job.avoidedGPUs, excluding: excluded)
            guard candidates.count >= request.gpus else { continue }
            if let busy {
                candidates.sort { (busy.used[$0] > 0 ? 0 : 1, $0) < (busy.used[$1] > 0 ? 0 : 1, $1) }
                return Placing(request: request, gpus: Array(candidates.prefix(request.gpus)))
            }
            let count = min(request.gpusMax, candidates.count, gpusMax.isFinite ? Int(gpusMax) : .max)
            return Placing(request: request, gpus: Placement.choose(count, from: candidates, of: free.slots))
        }
        return nil
    }

    func allocation(_ slots: [GPUSlot]) -> Allocation {
        var allocation = Allocation(gpus: gpus.map { slots[$0].uuid }, cpus: request.cpus, memoryBytes: request.memoryBytes)
        allocation.gpuShare = request.gpuShare
        allocation.counters = request.counters
        return allocation
    }
}
