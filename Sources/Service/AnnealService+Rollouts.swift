import APITypes
import Domain
import Store

/// In which order the responses of a step are shown.
public enum RolloutOrder: String, Sendable, CaseIterable {
    /// As they were kept: by prompt.
    case kept
    /// The highest reward first.
    case best
    /// The lowest reward first.
    case worst
}

// What reinforcement jobs learn from.
extension AnnealService {
    /// Responses of one step, while the job runs and afterwards; of a job that was cached those of the job it is a copy of. Training by
    /// another method than reinforcement has none.
    ///
    /// - Parameter step: the step that learned from them first; `nil` for the newest.
    public func rollouts(of id: String, step: Int?, order: RolloutOrder, limit: Int) async throws -> RolloutsView {
        let worker = try await store.read { reader -> JobRecord in
            guard let record = try reader.job(id) else { throw ServiceError.missing("job", id) }
            guard record.kind == .train else {
                throw ServiceError(.notFound, "the job '\(id)' is of kind \(record.kind.rawValue) and has no rollouts")
            }
            return try record.cachedFrom.flatMap { try reader.job($0) } ?? record
        }
        let file = RolloutFile(path: configuration.outputDirectory(jobID: worker.id) + "/" + RolloutFile.name)
        let found = try await inspecting.run { try file.read(step: step) }
        var rollouts = found.rollouts
        switch order {
        case .kept: break
        // Sorting is stable: equal rewards stay in their order.
        case .best: rollouts.sort { $0.reward > $1.reward }
        case .worst: rollouts.sort { $0.reward < $1.reward }
        }
        return RolloutsView(
            jobID: id, step: found.step, steps: found.steps, kept: rollouts.count, data: Array(rollouts.prefix(limit)))
    }
}
