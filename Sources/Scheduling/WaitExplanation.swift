import Domain

/// Why a job waits, as data and in words.
public struct WaitExplanation: Sendable, Hashable {
    /// A resource that jobs ask for.
    public enum Resource: String, Sendable, CaseIterable {
        case gpus, cpus, memory, counter
    }

    /// Who holds how much of a resource; memory in bytes, shares of GPUs in thousandths of one.
    public struct Holder: Sendable, Hashable {
        public var job: String
        public var amount: Int64
        /// The UUIDs, where the resource is GPUs.
        public var gpus: [String]
        /// When its time limit ends it; `nil` where it has none.
        public var endsBy: Timestamp?
    }

    /// A resource of which too little is there.
    public struct Shortfall: Sendable, Hashable {
        public var resource: Resource
        /// The counter's name, where it is one.
        public var name: String?
        public var asked: Int64
        public var free: Int64
        /// What the machine has, without what is out of use.
        public var usable: Int64
        /// The largest first.
        public var holders: [Holder]
    }

    /// The sort of reason.
    public enum Cause: Sendable, Hashable {
        /// It starts with the next decision.
        case ready
        /// A user, or its spec, keeps it.
        case held
        case delayed(until: Timestamp)
        /// More is asked than is free.
        case resources([Shortfall])
        /// Enough is free, but it is set aside for a job that stands before this one.
        case behind(job: String, [Shortfall])
        /// The machine as it is now can never run it.
        case cannotFit([Shortfall])
        /// So many jobs of its concurrency group run as may.
        case concurrency(ConcurrencyGroup, holders: [String])
        /// Its project holds as many GPUs as it may.
        case quota(limit: Int, inUse: Double)
        /// So many jobs of its project run as may.
        case jobQuota(limit: Int)
        /// Jobs of lower priority are saving their work to make room for it.
        case preempting(victims: [String])
    }

    public var cause: Cause
    /// How many jobs stand before this one.
    public var rank: Int
    /// By when it should start, if all before it run to their time limits; `nil` where that cannot be told.
    public var expectedAt: Timestamp?
    /// The cause in one sentence.
    public var message: String

    /// The machine-readable reason.
    public var reason: Reason {
        switch cause {
        case .delayed: .retryDelay
        case .held: .held
        case .concurrency: .concurrencyLimit
        case .quota, .jobQuota: .quotaExceeded
        case .ready, .resources, .behind, .cannotFit, .preempting: .insufficientResources
        }
    }
}

extension SchedulerState {
    /// Why a job of the queue does not run; `nil` where it does not wait there.
    public func explain(_ id: String, now: Timestamp) -> WaitExplanation? {
        explain([id], now: now)[id]
    }

    /// The same for several jobs in one walk through the queue.
    ///
    /// - Parameter withForecast: whether to tell when each is expected to start, which costs a walk of its own for each.
    public func explain(_ ids: Set<String>, now: Timestamp, withForecast: Bool = true) -> [String: WaitExplanation] {
        var found: [String: WaitExplanation] = [:]
        for id in ids {
            guard let job = aside[id] else { continue }
            let cause: WaitExplanation.Cause = job.isHeld ? .held : .delayed(until: job.notBefore ?? now)
            found[id] = WaitExplanation(cause: cause, rank: queue.count, message: message(cause))
        }
        var pass = SchedulingPass(self, now: now)
        var walk = QueueWalk(self, now: now)
        var rank = 0
        let wanted = ids.count { queue[$0] != nil }
        var left = wanted
        while left > 0, let job = walk.next() {
            let outcome = pass.visit(job)
            if case .blocked = outcome { pass.reserve(for: job) }
            if ids.contains(job.id) {
                let cause = cause(of: outcome, job, setAside: pass.reservation?.gpus ?? [])
                let expected =
                    withForecast ? pass.reservation.flatMap { $0.job == job.id ? $0.startsBy : nil } ?? forecast(cause, job, now) : nil
                found[job.id] = WaitExplanation(cause: cause, rank: rank, expectedAt: expected, message: message(cause))
                left -= 1
            }
            rank += 1
        }
        return found
    }

    private func forecast(_ cause: WaitExplanation.Cause, _ job: QueuedJob, _ now: Timestamp) -> Timestamp? {
        switch cause {
        case .ready: now
        case .resources, .behind: Forecast.start(of: job.id, in: self, now: now)
        default: nil
        }
    }

    private func cause(of outcome: SchedulingPass.Outcome, _ job: QueuedJob, setAside: Set<Int>) -> WaitExplanation.Cause {
        if let claim = claims[job.id], !claim.victims.isEmpty { return .preempting(victims: claim.victims.sorted()) }
        let request = job.request.choices[0]
        switch outcome {
        case .start: return .ready
        case .cannotFit: return .cannotFit(shortfalls(of: request, job, all: true))
        case .quota(let limit): return .quota(limit: limit, inUse: fairShare.gpusInUse(job.project))
        case .jobQuota(let limit): return .jobQuota(limit: limit)
        case .group(let group):
            let holders = running.filter { $0.value.project == job.project && $0.value.concurrency?.name == group.name }.keys
            return .concurrency(group, holders: holders.sorted())
        case .behind(let head): return .behind(job: head, shortfalls(of: request, job, all: true, setAside: setAside))
        case .blocked: return .resources(shortfalls(of: request, job, all: false))
        }
    }

    /// - Parameter all: whether to list what is there in sufficient number too, if nothing is missing.
    private func shortfalls(
        of request: ResourceRequest, _ job: QueuedJob, all: Bool, setAside: Set<Int> = []
    ) -> [WaitExplanation.Shortfall] {
        var rows: [WaitExplanation.Shortfall] = []
        let wanted = max(request.gpus, request.gpuShare > 0 ? 1 : 0)
        if wanted > 0 {
            let free: Int
            if request.gpuShare > 0 {
                free = self.free.shareCandidate(for: request, avoiding: job.avoidedGPUs, excluding: setAside) == nil ? 0 : 1
            } else {
                var any = request
                any.gpus = 0
                free = self.free.wholeCandidates(for: any, avoiding: job.avoidedGPUs, excluding: setAside).count
            }
            let usable = self.free.usableCount(for: request, avoiding: job.avoidedGPUs)
            rows.append(shortfall(.gpus, Int64(wanted), Int64(free), Int64(usable)) { Int64($0.gpus.count) })
        }
        rows.append(shortfall(.cpus, Int64(request.cpus), Int64(max(0, free.cpus)), Int64(capacity.cpus)) { Int64($0.cpus) })
        rows.append(shortfall(.memory, request.memoryBytes, max(0, free.memoryBytes), capacity.memoryBytes) { $0.memoryBytes })
        for (name, units) in request.counters.sorted(by: { $0.key < $1.key }) {
            let has = Int64(capacity.counters[name, default: 0])
            var row = shortfall(.counter, Int64(units), Int64(max(0, free.counters[name, default: 0])), has) {
                Int64($0.counters[name, default: 0])
            }
            row.name = name
            rows.append(row)
        }
        let missing = rows.filter { $0.asked > $0.free || $0.asked > $0.usable }
        if missing.isEmpty, all { return Array(rows.prefix(1)) }
        return missing
    }

    private func shortfall(
        _ resource: WaitExplanation.Resource, _ asked: Int64, _ free: Int64, _ usable: Int64, held: (Allocation) -> Int64
    ) -> WaitExplanation.Shortfall {
        let holders = running.compactMap { id, run -> WaitExplanation.Holder? in
            let amount = held(run.allocation)
            guard amount > 0 else { return nil }
            return WaitExplanation.Holder(job: id, amount: amount, gpus: resource == .gpus ? run.allocation.gpus : [], endsBy: run.endsBy)
        }
        return WaitExplanation.Shortfall(
            resource: resource, name: nil, asked: asked, free: free, usable: usable,
            holders: holders.sorted { ($0.amount, $1.job) > ($1.amount, $0.job) })
    }
}
