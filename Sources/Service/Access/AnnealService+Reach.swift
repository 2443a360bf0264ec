import Domain
import EventLoop
import Store

/// What a request is about.
public enum AccessSubject: String, Sendable, CaseIterable {
    case experiment, job, checkpoint, evaluation, dataset, project
    /// A dataset that is to be changed: uploaded ones are everybody's, and so not for one project to change.
    case changedDataset
    /// Any of them, as a lineage begins at.
    case artifact
    /// A run of a tracking client: a job, or one made beside it.
    case run
}

// Reach: requests of somebody who may not see everything stop before what they may not see, as if it were not there.
extension AnnealService {
    /// Throws as for a missing thing where a subject is beyond a caller's reach, or not there at all.
    public nonisolated func require(_ subject: AccessSubject, _ id: String, within reach: Reach) async throws {
        guard reach != .everything else { return }
        if subject == .project {
            guard reach.covers(experiment: nil, project: id) else { throw ServiceError.missing("project", id) }
            return
        }
        if subject == .changedDataset { return try await requireOwn(dataset: id, within: reach) }
        let isWithin = try await store.read { try Self.isWithin(subject, id, reach, in: $0) }
        guard isWithin else { throw ServiceError.missing(subject == .artifact ? "artifact or job" : subject.rawValue, id) }
    }

    /// Throws where a dataset cannot be seen, or is not of the caller's own projects.
    private nonisolated func requireOwn(dataset id: String, within reach: Reach) async throws {
        try await require(.dataset, id, within: reach)
        let isOwn = try await store.read { reader in
            guard let maker = try reader.dataset(reference: id)?.producedBy else { return false }
            return try Self.isWithin(.job, maker, reach, in: reader)
        }
        guard isOwn else {
            throw ServiceError(.forbidden, "the dataset '\(id)' is shared by projects; a token that is limited to some may not change it")
        }
    }

    /// Throws where a new version of a dataset would go among those of other projects.
    public nonisolated func checkDatasetName(_ name: String, within reach: Reach) async throws {
        guard reach != .everything else { return }
        let isOthers = try await store.read { try $0.datasetCount(named: name) > $0.datasetCount(named: name, within: reach) }
        guard !isOthers else { throw ServiceError(.forbidden, "the name '\(name)' is that of another project's dataset; choose another") }
    }

    /// Whether a caller may see something; false for what is not there.
    nonisolated static func isWithin(_ subject: AccessSubject, _ id: String, _ reach: Reach, in reader: ReadTransaction) throws -> Bool {
        func covers(experiment: String?) throws -> Bool {
            guard let experiment else { return false }
            return reach.covers(experiment: experiment, project: try reader.projectName(ofExperiment: experiment))
        }
        func covers(job: String?) throws -> Bool { try covers(experiment: job.flatMap { try reader.experimentID(ofJob: $0) }) }
        switch subject {
        case .experiment: return try covers(experiment: id)
        case .job: return try covers(job: id)
        case .run: return try covers(job: id) || covers(job: reader.trackedRun(id)?.jobID)
        case .checkpoint: return try covers(job: reader.checkpoint(id)?.jobID)
        case .evaluation: return try covers(job: reader.evaluation(id)?.jobID)
        case .dataset, .changedDataset:
            guard let record = try reader.dataset(reference: id) else { return false }
            return try reader.isDataset(record.id, within: reach)
        case .project: return reach.covers(experiment: nil, project: id)
        case .artifact:
            for kind in [AccessSubject.job, .experiment, .checkpoint, .evaluation, .dataset] where try isWithin(kind, id, reach, in: reader)
            {
                return true
            }
            return false
        }
    }
}
