import Datasets
import Domain
import EventLoop
import JSON
import Store
import Telemetry

/// What an attempt made, ready to be written with its end in one transaction.
struct RegisteredOutputs: Sendable {
    var checkpoints: [CheckpointRecord] = []
    var evaluations: [EvaluationRecord] = []
    /// The job's `outputs`: name → artifact.
    var document: JSONValue = .object([:])

    /// Inserts the artifacts and tells of them.
    func write(in writer: WriteTransaction, at moment: Timestamp) throws {
        for checkpoint in checkpoints { try writer.insert(checkpoint: checkpoint) }
        for evaluation in evaluations {
            try writer.insert(evaluation: evaluation)
            try CheckpointEvaluations.tellCurve(of: evaluation, job: evaluation.jobID, in: writer, at: moment)
        }
    }
}

// Artifacts: from files that a worker left to rows with a content hash, a producer and a name.
extension AnnealService {
    /// Registers what a worker's report names. An evaluation that missed its gate is registered as well.
    func register(_ report: WorkerReport, job: JobRecord, attempt: RunningAttempt, succeeded: Bool) async throws -> RegisteredOutputs {
        var registered = RegisteredOutputs()
        var document = JSONObject()
        let experiment = try await store.read { try $0.experimentName(job.experimentID) }
        for output in report.outputs where succeeded || output.kind == .evaluation {
            switch output.kind {
            case .dataset:
                document[output.name] = try await addDataset(output, job: job, experiment: experiment)
            case .checkpoint:
                document[output.name] = try await addCheckpoint(output, job: job, attempt: attempt, to: &registered)
            case .evaluation:
                document[output.name] = try await addEvaluation(output, report: report, job: job, attempt: attempt, to: &registered)
            case .file:
                document[output.name] = [
                    "type": "file", "path": .string(output.path), "sha256": .string(try await hasher.hash(path: output.path)),
                ]
            }
        }
        registered.document = .object(document)
        return registered
    }

    private func addDataset(
        _ output: WorkerReport.Output, job: JobRecord, experiment: String?
    ) async throws -> JSONValue {
        let name = datasetName(output.name, of: job, experiment: experiment)
        if output.fields["format"]?.string == GenerationFile.format { return try await addGenerations(output, job: job, name: name) }
        if output.fields["format"]?.string == ShardFolder.format { return try await addShards(output, job: job, name: name) }
        let facts = try await inspecting.run {
            try DatasetInspection.inspect(path: output.path, format: output.fields["format"]?.string.flatMap(DatasetFormat.init(rawValue:)))
        }
        guard facts.errorCount == 0 else {
            let first = facts.errors.first.map { "; the first: \($0)" } ?? ""
            throw ServiceError(.invalidDataset, "output '\(output.name)' has \(facts.errorCount) invalid records\(first)")
        }
        let (dataset, _) = try await adoptDataset(
            at: output.path, facts: facts, name: name, producedBy: job.id, output: output.name, source: DatasetSource.fetched(by: job))
        return dataset.outputDocument
    }

    /// The name of a dataset that a job made: as the job asks, else by the names of the experiment, the job and the output.
    private func datasetName(_ output: String, of job: JobRecord, experiment: String?) -> String {
        guard let name = job.spec["register_as"]?.string else { return "\(experiment ?? "job").\(job.name).\(output)" }
        return output == "dataset" ? name : "\(name).\(output)"
    }

    /// Puts a file into the content store and registers it; an equal version of the same name is used again.
    func adoptDataset(
        at path: String, facts: DatasetFacts, name: String, producedBy: String?, output: String?, source: JSONValue? = nil
    ) async throws -> (dataset: DatasetRecord, isNew: Bool) {
        let target = "\(configuration.datasetsDirectory)/\(facts.sha256.prefix(2))/\(facts.sha256).jsonl"
        try await files.run { try Folders.adopt(path, as: target) }
        let record = DatasetRecord(
            id: identifiers.next(.dataset), name: name, sha256: facts.sha256, rows: facts.rows, bytes: facts.bytes,
            format: (facts.format ?? .records).rawValue, path: target, producedBy: producedBy, outputName: output, source: source,
            createdAt: now)
        return try await store.write { writer in
            var (dataset, isNew) = try writer.insert(dataset: record)
            // A version that stood for a user's file now has content of its own, which nobody changes.
            if dataset.isReference {
                (dataset.path, dataset.source) = (target, source)
                try writer.relocate(dataset: dataset)
            }
            return (dataset, isNew)
        }
    }

    private func addCheckpoint(
        _ output: WorkerReport.Output, job: JobRecord, attempt: RunningAttempt, to registered: inout RegisteredOutputs
    ) async throws -> JSONValue {
        let path = output.path
        if let known = try await store.read({ try $0.checkpoint(path: path) }) ?? registered.checkpoints.first(where: { $0.path == path }) {
            return known.outputDocument
        }
        let record = try await checkpointRecord(
            path: path, step: output.fields["step"]?.int, metrics: output.fields["metrics"] ?? .object([:]), job: job.id,
            attempt: attempt.id)
        registered.checkpoints.append(record)
        return record.outputDocument
    }

    private func checkpointRecord(path: String, step: Int?, metrics: JSONValue, job: String, attempt: String) async throws
        -> CheckpointRecord
    {
        let sha256 = try await hasher.hash(path: path)
        let bytes = try await files.run { try FileTree.bytes(of: path) }
        return CheckpointRecord(
            id: identifiers.next(.checkpoint), jobID: job, attemptID: attempt, kind: step == nil ? .model : .training, step: step,
            path: path, sha256: sha256, bytes: bytes,
            metrics: metrics, createdAt: now)
    }

    /// Registers the checkpoints that a trainer renamed into place, and notes those that its retention removed.
    ///
    /// One change after the other: hashing takes time, and a checkpoint that is being registered must not be taken for a new one.
    func apply(_ change: CheckpointChange, job: ActiveJob, attempt: RunningAttempt) async throws {
        let earlier = attempt.checkpointWork
        let work = Task { @LoopActor in
            await earlier?.value
            try await applyAlone(change, job: job, attempt: attempt)
        }
        attempt.checkpointWork = Task { _ = await work.result }
        try await work.value
    }

    private func applyAlone(_ change: CheckpointChange, job: ActiveJob, attempt: RunningAttempt) async throws {
        for found in change.added {
            let known = try await store.read { try $0.checkpoint(path: found.path) }
            attempt.lastCheckpointStep = max(attempt.lastCheckpointStep ?? found.step, found.step)
            guard known == nil else { continue }
            let record = try await checkpointRecord(
                path: found.path, step: found.step, metrics: found.metrics, job: job.id, attempt: attempt.id)
            try await register(checkpoint: record)
            attempt.lastCheckpointBytes = record.bytes
            scheduler.noteSaved(job.id, at: now)
        }
        let moment = now
        for path in change.removed {
            try await store.write { writer in
                if let gone = try writer.checkpoint(path: path) { try writer.deleteCheckpoint(gone.id, at: moment) }
            }
        }
    }

    private func addEvaluation(
        _ output: WorkerReport.Output, report: WorkerReport, job: JobRecord, attempt: RunningAttempt, to registered: inout RegisteredOutputs
    ) async throws -> JSONValue {
        guard let bytes = try await files.run({ try Folders.tail(of: output.path, limit: ServiceLimits.reportBytesMax) }) else {
            throw ServiceError(.invalidDataset, "output '\(output.name)': there is no file at \(output.path)")
        }
        let document: JSONValue
        do {
            document = try JSONParser.parse(bytes, options: .python)
        } catch {
            throw ServiceError(.invalidDataset, "output '\(output.name)': \(output.path) is not JSON: \(error)")
        }
        let model = try await store.read { try $0.inputs(job: job.id).first { $0.pointer == "/model" } }
        let record = EvaluationRecord(
            id: identifiers.next(.evaluation), jobID: job.id, attemptID: attempt.id, model: document["model"]?.string ?? model?.path ?? "",
            modelArtifactID: model?.artifactID, path: output.path, document: document, compare: try await comparison(document, job: job.id),
            gate: report.gate,
            createdAt: now)
        registered.evaluations.append(record)
        return [
            "type": "evaluation", "id": .string(record.id), "path": .string(output.path),
            "sha256": .string(try await hasher.hash(path: output.path)),
        ]
    }
}

extension AnnealService {
    /// The rows of a comparison with the id of the evaluation that they compare with.
    private func comparison(_ document: JSONValue, job: String) async throws -> JSONValue? {
        guard let rows = document["compare"] else { return nil }
        let base = try await store.read { try $0.inputs(job: job).first { $0.pointer == "/compare_to" }?.artifactID }
        return ["base": base.map(JSONValue.string) ?? .null, "rows": rows["benchmarks"] ?? rows]
    }
}

extension EvaluationRecord {
    /// The evaluation that this one was compared with.
    var baseID: String? { compare?["base"]?.string }
}

extension DatasetRecord {
    /// The dataset as an output of the job that made it.
    var outputDocument: JSONValue {
        [
            "type": "dataset", "id": .string(id), "name": .string(name), "version": .int(Int64(version)), "path": .string(path),
            "sha256": .string(sha256), "format": .string(format), "rows": .int(Int64(rows)), "bytes": .int(bytes),
        ]
    }
}

extension CheckpointRecord {
    /// The checkpoint as an output of the job that made it.
    var outputDocument: JSONValue {
        [
            "type": "checkpoint", "id": .string(id), "path": .string(path), "sha256": .string(sha256 ?? ""),
            "step": step.map { .int(Int64($0)) } ?? .null,
            "bytes": .int(bytes), "metrics": metrics,
        ]
    }
}
