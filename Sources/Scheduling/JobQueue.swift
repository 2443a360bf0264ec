import Domain

/// Waiting jobs in the order in which they are looked at.
struct JobQueue: Sendable {
    private(set) var jobs: [QueuedJob] = []
    private var byID: [String: QueuedJob] = [:]

    var count: Int { jobs.count }

    subscript(id: String) -> QueuedJob? { byID[id] }

    /// Puts the job in its place; one of the same id is replaced.
    mutating func insert(_ job: QueuedJob) {
        remove(job.id)
        jobs.insert(job, at: position(of: job))
        byID[job.id] = job
    }

    @discardableResult
    mutating func remove(_ id: String) -> QueuedJob? {
        guard let job = byID.removeValue(forKey: id) else { return nil }
        jobs.remove(at: position(of: job))
        return job
    }

    mutating func remove(all ids: Set<String>) {
        guard !ids.isEmpty else { return }
        jobs.removeAll { ids.contains($0.id) }
        for id in ids { byID[id] = nil }
    }

    /// How many jobs stand before the job.
    func rank(of id: String) -> Int? { byID[id].map(position) }

    /// The first place whose job does not precede `job`, found by halving.
    private func position(of job: QueuedJob) -> Int {
        var (low, high) = (0, jobs.count)
        while low < high {
            let middle = (low + high) / 2
            if jobs[middle].precedes(job) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
