import Domain
import Glibc
import Specification
import Store

// `on: checkpoint`: the evaluation of each checkpoint of a training as it appears.
extension AnnealService {
    /// Registers a checkpoint and, in the same transaction, the jobs that evaluate it.
    func register(checkpoint record: CheckpointRecord) async throws {
        let (moment, identifiers) = (now, identifiers)
        let added = try await store.write { writer in
            try writer.insert(checkpoint: record)
            return try CheckpointEvaluations.add(
                for: record, templates: CheckpointEvaluations.templates(of: record.jobID, in: writer),
                makeID: { identifiers.next(.job) }, in: writer, at: moment)
        }
        admit(added)
        if added.isEmpty { try await release([record]) }
    }

    /// Takes jobs that were added to a running experiment into memory.
    private func admit(_ added: [CheckpointEvaluations.Added]) {
        for one in added {
            guard let template = jobs[one.template] else {
                // It was cancelled in the meantime.
                background("cancelling \(one.record.id)") { [self] in try await cancel(jobID: one.record.id) }
                continue
            }
            hub.touch(one.template)
            remember([one.record], projects: [:], project: template.project, needs: [one.record.id: one.needs.filter { jobs[$0] != nil }])
            template.pendingNeeds.insert(one.record.id)
            jobs[one.record.id]?.dependents.append(template.id)
            resumeWaiting([one.record])
        }
    }

    /// Whether some job waits for the checkpoints of a training, so that its trainer must keep them until it is told otherwise.
    func isFollowed(_ training: String) -> Bool {
        jobs[training]?.dependents.contains { jobs[$0]?.followsCheckpoints == true } ?? false
    }

    /// An evaluation of a checkpoint has ended: its checkpoint may go, and the template tells of it.
    func checkpointEvaluationEnded(_ id: String) async throws {
        let found = try await store.write { writer -> [CheckpointRecord] in
            guard let job = try writer.job(id), let template = try CheckpointEvaluations.template(of: job, in: writer) else { return [] }
            try CheckpointEvaluations.tellProgress(of: template, in: writer)
            return try CheckpointEvaluations.checkpointID(of: job).flatMap { try writer.checkpoint($0) }.map { [$0] } ?? []
        }
        try await release(found)
    }

    /// Ends a template whose training and evaluations have ended, or adds evaluations that are missing.
    func concludeCheckpointEvaluations(_ template: JobRecord) async throws {
        let (moment, identifiers) = (now, identifiers)
        let (added, state, checkpoints) = try await store.write {
            writer -> ([CheckpointEvaluations.Added], JobState?, [CheckpointRecord]) in
            let added = try Self.addMissing(template, makeID: { identifiers.next(.job) }, in: writer, at: moment)
            let state = added.isEmpty ? try CheckpointEvaluations.conclude(template, in: writer, at: moment) : nil
            let evaluated = try CheckpointEvaluations.evaluations(of: template, in: writer).filter(\.state.isTerminal)
            return (
                added, state,
                try evaluated.compactMap { try CheckpointEvaluations.checkpointID(of: $0).flatMap { try writer.checkpoint($0) } }
            )
        }
        admit(added)
        try await release(checkpoints)
        if let state { finished(template.id, as: state) }
    }

    /// The checkpoints of a training that was answered from the cache were registered by another job, before this template was there.
    private nonisolated static func addMissing(
        _ template: JobRecord, makeID: () -> String, in writer: WriteTransaction, at moment: Timestamp
    ) throws -> [CheckpointEvaluations.Added] {
        guard let rule = EveryCheckpoint(spec: template.spec), try writer.job(template.id)?.state == .waiting else { return [] }
        let needs = try writer.needs(job: template.id).compactMap { try writer.job($0) }
        guard let training = needs.first(where: { $0.name == rule.training }), training.state == .succeeded else { return [] }
        return try writer.allCheckpoints(of: training).sorted { ($0.step ?? 0) < ($1.step ?? 0) }.flatMap {
            try CheckpointEvaluations.add(for: $0, templates: [template], makeID: makeID, in: writer, at: moment)
        }
    }

    /// Lets the trainer's retention have checkpoints that nobody waits for any more. What it would have deleted meanwhile is deleted now.
    private func release(_ checkpoints: [CheckpointRecord]) async throws {
        for checkpoint in checkpoints where checkpoint.deletedAt == nil {
            guard try await !isAwaited(checkpoint) else { continue }
            let isGone = try await files.run { try AwaitedCheckpoint.release(checkpoint.path) }
            guard isGone else { continue }
            let moment = now
            _ = try await store.write { try $0.deleteCheckpoint(checkpoint.id, at: moment) }
        }
    }

    /// Several templates may follow one training.
    private func isAwaited(_ checkpoint: CheckpointRecord) async throws -> Bool {
        try await store.read { reader in
            try reader.consumers(of: checkpoint.id).contains { input in
                guard let job = try reader.job(input.jobID), !job.state.isTerminal else { return false }
                return try CheckpointEvaluations.template(of: job, in: reader) != nil
            }
        }
    }
}

/// The marks in a checkpoint's folder by which daemon and trainer agree on its end.
enum AwaitedCheckpoint {
    /// The trainer puts it into each checkpoint where some job waits for them, and the daemon takes it away.
    static let awaited = "awaited"
    /// The trainer's retention would have deleted the checkpoint, were it not awaited.
    static let surplus = "surplus"

    /// Takes the mark away, and the checkpoint with it where the trainer has no use for it any more. Blocks.
    ///
    /// - Returns: whether the checkpoint is gone.
    static func release(_ path: String) throws -> Bool {
        guard unlink(path + "/" + awaited) == 0 else {
            guard errno == ENOENT else { throw Folders.failure("release", path) }
            return false
        }
        guard access(path + "/" + surplus, F_OK) == 0, access(path + "/pinned", F_OK) != 0 else { return false }
        // The rename comes first, so that no half of a checkpoint bears its name; the trainer clears such folders away as well.
        let parts = path.split(separator: "/")
        let doomed = "/" + parts.dropLast().joined(separator: "/") + "/tmp_released_" + (parts.last.map(String.init) ?? "")
        guard rename(path, doomed) == 0 else {
            guard errno == ENOENT else { throw Folders.failure("remove", path) }
            return true
        }
        try Folders.remove(doomed)
        return true
    }
}
