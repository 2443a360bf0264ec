import APITypes
import Domain
import Evaluation
import EventLoop
import Glibc
import JSON
import Store

// Datasets, checkpoints and evaluations: what the registry answers.
extension AnnealService {
    // MARK: Datasets

    /// Datasets, newest first.
    public func datasets(
        name: String?, tag: (key: String, value: String)? = nil, within reach: Reach = .everything, page: PageRequest
    ) async throws -> APITypes.Page<DatasetView> {
        APITypes.Page(
            try await store.read { try $0.datasets(name: name, tag: tag, within: reach, limit: page.limit, after: page.after) }, id: \.id,
            render: ArtifactRendering.view)
    }

    /// - Parameter reference: an id, a name (its newest version) or `name@version`.
    public func dataset(_ reference: String) async throws -> DatasetView { ArtifactRendering.view(of: try await datasetRecord(reference)) }

    /// The row of a dataset, with the path of its content.
    public func datasetRecord(_ reference: String) async throws -> DatasetRecord {
        guard let record = try await store.read({ try $0.dataset(reference: reference) }) else {
            throw ServiceError.missing("dataset", reference)
        }
        return record
    }

    // MARK: Checkpoints

    /// Checkpoints, newest first; those that were deleted too, for the lineage.
    public func checkpoints(
        job: String?, within reach: Reach = .everything, page: PageRequest
    ) async throws -> APITypes.Page<CheckpointView> {
        let found = try await store.read { reader in
            let filter = CheckpointFilter(jobID: job, includesDeleted: true, reach: reach)
            let page = try reader.checkpoints(filter, limit: page.limit, after: page.after)
            return (page, Set(try Set(page.items.map(\.jobID)).compactMap { try reader.job($0)?.bestCheckpointID }))
        }
        return APITypes.Page(found.0, id: \.id) { ArtifactRendering.view(of: $0, isBest: found.1.contains($0.id)) }
    }

    /// One checkpoint.
    public func checkpoint(_ id: String) async throws -> CheckpointView {
        let found = try await store.read { reader in
            try reader.checkpoint(id).map { ($0, try reader.job($0.jobID)?.bestCheckpointID == id) }
        }
        guard let (record, isBest) = found else { throw ServiceError.missing("checkpoint", id) }
        return ArtifactRendering.view(of: record, isBest: isBest)
    }

    /// Keeps a checkpoint from retention, or gives it back to it. The trainer, which applies retention, is told by a file.
    public func setPinned(_ isPinned: Bool, checkpoint id: String) async throws -> CheckpointView {
        let record = try await existing(id)
        try await files.run {
            let marker = record.path + "/pinned"
            if isPinned {
                let descriptor = open(marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else { throw Folders.failure("pin", record.path) }
                Glibc.close(descriptor)
            } else if unlink(marker) != 0, errno != ENOENT {
                throw Folders.failure("unpin", record.path)
            }
        }
        let moment = now
        try await store.write { _ = try $0.setPinned(checkpoint: id, isPinned, at: moment) }
        return try await checkpoint(id)
    }

    /// Deletes a checkpoint's files; its row stays, so that lineage still names it.
    public func deleteCheckpoint(_ id: String) async throws {
        try refuseDuringBackup("the deletion of a checkpoint")
        let record = try await existing(id)
        guard !record.pinned else { throw ServiceError(.conflict, "the checkpoint '\(id)' is pinned; unpin it first") }
        if let job = jobs[record.jobID], job.attempt != nil {
            throw ServiceError(
                .conflict, "the checkpoint '\(id)' belongs to job \(record.jobID), which runs; its trainer keeps its own retention")
        }
        if let user = try await store.read({ try Self.jobInNeed(of: id, in: $0) }) {
            throw ServiceError(.conflict, "the checkpoint '\(id)' is needed by job \(user), which has not ended")
        }
        let moment = now
        try await store.write { _ = try $0.deleteCheckpoint(id, at: moment) }
        try await files.run { try Folders.remove(record.path) }
    }

    /// A job that was given the checkpoint and has not ended.
    private nonisolated static func jobInNeed(of checkpoint: String, in reader: ReadTransaction) throws -> String? {
        try reader.consumers(of: checkpoint).first { try reader.jobState($0.jobID)?.isTerminal == false }?.jobID
    }

    private func existing(_ id: String) async throws -> CheckpointRecord {
        guard let record = try await store.read({ try $0.checkpoint(id) }) else { throw ServiceError.missing("checkpoint", id) }
        guard record.deletedAt == nil else { throw ServiceError(.gone, "the checkpoint '\(id)' has been deleted") }
        return record
    }

    // MARK: Evaluations

    /// Evaluations, newest first.
    public func evaluations(
        job: String?, experiment: String?, within reach: Reach = .everything, page: PageRequest
    ) async throws -> APITypes.Page<EvaluationView> {
        APITypes.Page(
            try await store.read {
                try $0.evaluations(job: job, experiment: experiment, within: reach, limit: page.limit, after: page.after)
            }, id: \.id,
            render: ArtifactRendering.view)
    }

    /// One evaluation.
    public func evaluation(_ id: String) async throws -> EvaluationView { ArtifactRendering.view(of: try await evaluationRecord(id)) }

    /// An evaluation as a table of all its benchmarks.
    public func evaluationReport(_ id: String) async throws -> EvaluationReport {
        EvaluationReport(try EvaluationDocument(json: try await evaluationRecord(id).document))
    }

    func evaluationRecord(_ id: String) async throws -> EvaluationRecord {
        guard let record = try await store.read({ try $0.evaluation(id) }) else { throw ServiceError.missing("evaluation", id) }
        return record
    }
}

extension JobRecord {
    /// The checkpoint that the trainer named best, once the job has succeeded.
    var bestCheckpointID: String? { outputs?["checkpoint.best"]?["id"]?.string }
}

/// Artifacts as the API shows them.
enum ArtifactRendering {
    static func view(of record: DatasetRecord) -> DatasetView {
        var view = DatasetView(
            id: record.id, name: record.name, version: record.version, sha256: record.sha256, rows: record.rows, bytes: record.bytes,
            format: record.format, producedBy: record.producedBy, createdAt: record.createdAt.description)
        view.source = record.source
        view.tags = record.tags
        return view
    }

    static func view(of record: CheckpointRecord, isBest: Bool) -> CheckpointView {
        return CheckpointView(
            id: record.id, jobID: record.jobID, attemptID: record.attemptID, step: record.step, path: record.path, bytes: record.bytes,
            metrics: (record.metrics.object ?? [:]).compactMapValues { $0.double.map { MetricValue($0) } }, pinned: record.pinned,
            best: isBest, createdAt: record.createdAt.description,
            deletedAt: record.deletedAt?.description)
    }

    static func view(of record: EvaluationRecord) -> EvaluationView {
        let benchmarks = (record.document["benchmarks"]?.array ?? []).map(benchmark)
        return EvaluationView(
            id: record.id, jobID: record.jobID, model: record.model, modelID: record.modelArtifactID,
            createdAt: record.createdAt.description,
            benchmarks: benchmarks, compare: compare(record), gate: gate(record.gate))
    }

    private static func compare(_ record: EvaluationRecord) -> CompareView? {
        record.compare.map { ComparisonRendering.view(base: record.baseID ?? "", candidate: record.id, rows: $0["rows"] ?? .null) }
    }

    private static func gate(_ document: JSONValue?) -> GateView? {
        guard let document, let passed = document["passed"]?.bool else { return nil }
        return GateView(
            passed: passed,
            checks: (document["checks"]?.array ?? []).map { check in
                var view = GateCheckView(
                    metric: check["metric"]?.string ?? "", condition: check["condition"]?.string ?? "", value: check["value"]?.double,
                    limit: check["limit"]?.double, passed: check["passed"]?.bool ?? false)
                (view.ciLow, view.ciHigh) = (check["interval"]?[0]?.double, check["interval"]?[1]?.double)
                return view
            })
    }

    private static func benchmark(_ document: JSONValue) -> BenchmarkView {
        let metrics = (document["metrics"]?.object ?? [:]).mapValues { metric in
            MetricEstimate(value: MetricValue(metric["value"]?.double ?? .nan), stderr: metric["stderr"]?.double)
        }
        return BenchmarkView(
            name: document["name"]?.string ?? "", dataset: document["dataset"]?["id"]?.string ?? document["dataset"]?["path"]?.string ?? "",
            samples: document["samples"]?.int ?? 0, items: document["item_count"]?.int ?? 0,
            metrics: metrics)
    }
}
