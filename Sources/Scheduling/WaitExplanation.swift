import Domain

/// Why a job waits, as data and in words.
public struct WaitExplanation: Sendable, Hashable {
    /// A resource that jobs ask for.
    public enum Resource: String, Sendable, CaseIterable {
        case gpus, cpus, memory
    }

    /// Who holds how much of a resource; memory in bytes.
    public struct Holder: Sendable, Hashable {
        public var job: String
        public var amount: Int64
        /// The UUIDs, where the resource is GPUs.
        public var gpus: [String]
    }

    /// A resource of which too little is there.
    public struct Shortfall: Sendable, Hashable {
        public var resource: Resource
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
        case delayed(until: Timestamp)
        /// More is asked than is free.
        case resources([Shortfall])
        /// Enough is free, but it is set aside for a job that stands before this one.
        case behind(job: String, [Shortfall])
        /// The machine as it is now can never run it.
        case cannotFit([Shortfall])
    }

    public var cause: Cause
    /// How many jobs stand before this one.
    public var rank: Int
    /// The cause in one sentence.
    public var message: String

    /// The machine-readable reason.
    public var reason: Reason {
        if case .delayed = cause { .retryDelay } else { .insufficientResources }
    }
}

extension SchedulerState {
    /// Why a job of the queue does not run; `nil` where it does not wait there.
    public func explain(_ id: String, now: Timestamp) -> WaitExplanation? {
        guard let target = queuedJob(id), let rank = rank(of: id) else { return nil }
        var pass = SchedulingPass(self)
        for job in queuedJobs.prefix(rank) { _ = pass.visit(job, now: now) }
        let request = target.request
        let cause: WaitExplanation.Cause =
            switch pass.visit(target, now: now) {
            case .start: .ready
            case .delayed: .delayed(until: target.notBefore ?? now)
            case .cannotFit: .cannotFit(shortfalls(of: request, free: nil))
            case .blocked(let free): .resources(shortfalls(of: request, free: free))
            case .behind(let head, let left): .behind(job: head, shortfalls(of: request, free: left))
            }
        return WaitExplanation(cause: cause, rank: rank, message: message(cause))
    }

    /// What is missing; against the whole machine where `free` is `nil`.
    private func shortfalls(of request: ResourceRequest, free: FreeResources?) -> [WaitExplanation.Shortfall] {
        let rows: [(WaitExplanation.Resource, Int64, Int64, Int64)] = [
            (.gpus, Int64(request.gpus), Int64(free?.gpus.count ?? self.free.gpus.count), Int64(usableGPUs.count)),
            (.cpus, Int64(request.cpus), Int64(free?.cpus ?? self.free.cpus), Int64(capacity.cpus)),
            (.memory, request.memoryBytes, free?.memoryBytes ?? self.free.memoryBytes, capacity.memoryBytes),
        ]
        return rows.filter { _, asked, left, usable in asked > (free == nil ? usable : left) }.map { resource, asked, left, usable in
            WaitExplanation.Shortfall(resource: resource, asked: asked, free: left, usable: usable, holders: holders(of: resource))
        }
    }

    private func holders(of resource: WaitExplanation.Resource) -> [WaitExplanation.Holder] {
        let all = allocations.map { job, allocation in
            let amount =
                switch resource {
                case .gpus: Int64(allocation.gpus.count)
                case .cpus: Int64(allocation.cpus)
                case .memory: allocation.memoryBytes
                }
            return WaitExplanation.Holder(job: job, amount: amount, gpus: resource == .gpus ? allocation.gpus : [])
        }
        return all.filter { $0.amount > 0 }.sorted { ($1.amount, $0.job) < ($0.amount, $1.job) }
    }

    private func message(_ cause: WaitExplanation.Cause) -> String {
        switch cause {
        case .ready: "it starts with the next decision"
        case .delayed(let moment): "it waits for the end of its retry delay at \(moment)"
        case .resources(let shortfalls): "it waits for " + shortfalls.map(text).joined(separator: "; ")
        case .behind(let job, let shortfalls):
            "it waits behind \(job), for which the free resources are set aside: " + shortfalls.map(text).joined(separator: "; ")
        case .cannotFit(let shortfalls):
            "this machine cannot run it as it is now: "
                + shortfalls.map { "it asks for \(amount($0.asked, $0.resource)), and \(amount($0.usable, $0.resource)) can be given out" }
                .joined(separator: "; ") + unhealthyText
        }
    }

    private var unhealthyText: String {
        let listed = capacity.gpus.compactMap { uuid in unhealthyGPUs[uuid].map { "\(uuid): \($0)" } }
        return listed.isEmpty ? "" : " (out of use: \(listed.joined(separator: ", ")))"
    }

    private func text(_ shortfall: WaitExplanation.Shortfall) -> String {
        let names = shortfall.holders.prefix(5).map { "\($0.job) holds \(amount($0.amount, shortfall.resource))" }
        let more = shortfall.holders.count > 5 ? ["\(shortfall.holders.count - 5) more hold the rest"] : []
        let held = names.isEmpty ? "" : "; " + (names + more).joined(separator: ", ")
        return "\(amount(shortfall.asked, shortfall.resource)): \(amount(shortfall.free, shortfall.resource)) free of "
            + "\(amount(shortfall.usable, shortfall.resource))\(held)"
    }

    private func amount(_ amount: Int64, _ resource: WaitExplanation.Resource) -> String {
        switch resource {
        case .gpus: "\(amount) GPU\(amount == 1 ? "" : "s")"
        case .cpus: "\(amount) CPU\(amount == 1 ? "" : "s")"
        case .memory:
            amount >= 1 << 30 && amount % (1 << 30) == 0
                ? "\(amount >> 30) GiB" : amount >= 1 << 20 ? "\(amount >> 20) MiB" : "\(amount) bytes"
        }
    }
}
