import Domain
import Store

// Metrics that are let go, and the space that they leave.
extension AnnealService {
    /// Free pages that the file keeps for what comes; they hold 8 MiB.
    private static let freePagesKept = 2048

    /// Packs what ended attempts left, and lets go of what is too old.
    func tidyMetrics() async throws {
        let moment = now
        let retention = configuration.metricRetention
        try await store.write { try $0.tidyMetrics(at: moment) }
        // In parts, so that other writes come between them.
        while try await store.write({ try $0.apply(retention, at: moment) }) > 0 {}
        if try await store.read({ try $0.freePages() }) > Self.freePagesKept { try await giveBackSpace() }
    }

    /// Deletes metrics of a job that has ended, and gives their space back to the file system.
    ///
    /// - Parameters:
    ///   - keys: names, or patterns in which `*` stands for anything; none for every key.
    ///   - attempt: the number of an attempt; `nil` for all.
    /// - Returns: How many points there were.
    public func deleteMetrics(job id: String, keys: [String], attempt: Int?) async throws -> Int {
        let patterns = keys.map(KeyPattern.init)
        let moment = now
        let points = try await store.write { transaction in
            guard try transaction.job(id) != nil else { throw ServiceError.missing("job", id) }
            return try transaction.deleteMetrics(job: id, attempt: attempt, at: moment) { key in
                patterns.isEmpty || patterns.contains { $0.matches(key) }
            }
        }
        try await giveBackSpace()
        return points
    }

    private func giveBackSpace() async throws {
        while try await store.write({ try $0.giveBackSpace() }) {}
    }
}
