import Domain
import JSON
import Specification
import Store

// The last or the best checkpoints of a training, for a job that averages them.
extension AnnealService {
    /// What `${job.checkpoints}` stands for, now that the training has ended: one input for each checkpoint, the earliest step first.
    func checkpoints(_ selection: CheckpointSelection, of training: JobRecord?) async throws -> [ResolvedInput] {
        guard let training else {
            throw ServiceError(
                .notFound, "\(CheckpointSelection.pointer): '\(selection.training)' names a job that this job does not need")
        }
        let found = try await store.read { try $0.allCheckpoints(of: training) }
        return try selection.choose(among: found, training: training.spec, isCached: training.cachedFrom != nil)
            .enumerated().map { index, checkpoint in
                ResolvedInput(
                    pointer: CheckpointSelection.pointer / index, reference: "\(selection.training).checkpoints", kind: .checkpoint,
                    id: checkpoint.id, path: checkpoint.path, sha256: checkpoint.sha256 ?? "")
            }
    }

    /// How many checkpoints the jobs that average them need of a training; its trainer keeps them, whatever `keep_top_k` says.
    func keptCheckpoints(of training: JobRecord) async throws -> JSONObject {
        let dependents = jobs[training.id]?.dependents ?? []
        guard !dependents.isEmpty else { return [:] }
        return try await store.read { reader in
            var kept: JSONObject = [:]
            for id in dependents {
                guard let selection = try reader.job(id).flatMap({ CheckpointSelection(spec: $0.spec) }),
                    selection.training == training.name
                else { continue }
                let key = selection.order.rawValue
                kept[key] = .int(max(Int64(kept[key]?.int ?? 0), Int64(selection.count)))
            }
            return kept
        }
    }
}

extension CheckpointSelection {
    /// The chosen ones in the order of their steps. Throws where there are fewer than asked for.
    ///
    /// - Parameters:
    ///   - training: the body of the job that made them.
    ///   - isCached: whether another job's outputs stand for its own.
    func choose(among found: [CheckpointRecord], training: JSONValue, isCached: Bool) throws -> [CheckpointRecord] {
        let steps = found.filter { $0.step != nil && $0.deletedAt == nil }.sorted { ($0.step ?? 0) < ($1.step ?? 0) }
        guard steps.count >= count else {
            let cached = !isCached ? "" : "; it was answered from the cache, so give it 'cache: false'"
            throw ServiceError(
                .notFound,
                "\(Self.pointer): '\(self.training)' has \(steps.count) checkpoints, and \(count) are to be averaged; "
                    + "let it save more often by 'checkpoint.every'\(cached)")
        }
        return order == .last ? steps.suffix(count) : try best(of: steps, training)
    }

    /// As the trainer ranks them: a missing metric is worst, and among equals the later step is better.
    private func best(of steps: [CheckpointRecord], _ training: JSONValue) throws -> [CheckpointRecord] {
        let ranking = CheckpointRanking(training: training)
        let metric = ranking.metric
        let sign: Double = ranking.lowIsGood ? 1 : -1
        guard steps.contains(where: { $0.metrics[metric]?.double != nil }) else {
            throw ServiceError(
                .notFound,
                "\(Self.pointer): no checkpoint of '\(self.training)' has the metric '\(metric)', by which the best are found; "
                    + "write 'last', or give the training validation data or another 'checkpoint.metric'")
        }
        func badness(_ checkpoint: CheckpointRecord) -> Double { checkpoint.metrics[metric]?.double.map { sign * $0 } ?? .infinity }
        let ranked = steps.sorted { (badness($0), -($0.step ?? 0)) < (badness($1), -($1.step ?? 0)) }
        return ranked.prefix(count).sorted { ($0.step ?? 0) < ($1.step ?? 0) }
    }
}
