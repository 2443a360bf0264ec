import Domain
import JSON

extension WriteTransaction {
    /// Inserts an experiment. An active one of the same name in the project is a conflict.
    public func insert(experiment: ExperimentRecord) throws {
        if experiment.finishedAt == nil { try requireNoActiveExperiment(named: experiment.name, project: experiment.project) }
        try execute(
            "INSERT INTO experiment (\(ExperimentRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            experiment.id, experiment.name, experiment.project, experiment.state.rawValue, experiment.reason?.rawValue, experiment.message,
            experiment.description, experiment.tags.text(), experiment.spec.text(), experiment.document, experiment.createdAt.milliseconds,
            experiment.finishedAt?.milliseconds)
        try appendState(
            ofExperiment: experiment.id, name: experiment.name, state: experiment.state, previous: nil, reason: experiment.reason?.rawValue,
            message: experiment.message, at: experiment.createdAt)
    }

    /// Inserts jobs, each with a `state` event. Their experiment exists already.
    public func insert(jobs: [JobRecord]) throws {
        for job in jobs { try insert(job) }
    }

    private func insert(_ job: JobRecord) throws {
        try execute(
            """
            INSERT INTO job (\(JobRecord.columns))
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            job.id, job.experimentID, job.position, job.name, job.kind.rawValue, job.engine, job.group, job.matrix?.text(),
            job.state.rawValue,
            job.reason?.rawValue, job.message, job.priority, job.resources.gpus, job.resources.cpus, job.resources.memoryBytes,
            job.timeout?.milliseconds, job.grace?.milliseconds, job.retry.limit ?? 0, job.retry.delay.milliseconds, job.retry.backoff,
            job.cacheEnabled ? 1 : 0, job.environment.text(), job.workingDirectory, job.spec.text(), job.condition,
            job.notBefore?.milliseconds,
            job.failures, job.cacheKey, job.cachedFrom, job.outputs?.text(), job.summary?.text(), job.createdAt.milliseconds,
            job.queuedAt?.milliseconds, job.startedAt?.milliseconds, job.finishedAt?.milliseconds,
            JobPolicyDocument.make(resources: job.resources, terms: job.terms, retry: job.retry).text(), job.isHeld ? 1 : 0,
            job.microBatchDivisor)
        try appendState(of: job, previous: nil, at: job.createdAt)
    }

    /// Inserts what a job needs; both jobs exist already.
    public func insert(needs: [String], of job: String) throws {
        for need in needs { try execute("INSERT OR IGNORE INTO job_need (job_id, need_id) VALUES (?, ?)", job, need) }
    }

    /// Records what a job consumes; a second record for a place replaces the first.
    public func insert(jobInputs: [JobInputRecord]) throws {
        for input in jobInputs {
            try execute(
                "INSERT OR REPLACE INTO job_input (\(JobInputRecord.columns)) VALUES (?, ?, ?, ?, ?, ?)",
                input.jobID, input.pointer, input.artifactID, input.artifactType.rawValue, input.sha256, input.path)
        }
    }

    /// Inserts an attempt with its `state` event. A job that has a live attempt is a conflict.
    public func insert(attempt: AttemptRecord) throws {
        try execute(
            "INSERT INTO attempt (\(AttemptRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attempt.id, attempt.jobID, attempt.number, attempt.state.rawValue, attempt.exitCode, attempt.signal, attempt.cause?.rawValue,
            attempt.message, JSONValue.array(attempt.gpus.map(JSONValue.string)).text(), attempt.cpus, attempt.memoryBytes,
            attempt.directory,
            attempt.tokenHash, attempt.resumedFromStep, attempt.createdAt.milliseconds, attempt.startedAt?.milliseconds,
            attempt.finishedAt?.milliseconds, attempt.resourceUsage?.text(), attempt.allocationDocument?.text(), attempt.evidence?.text(),
            attempt.cluster, attempt.externalID)
        try appendState(of: attempt, previous: nil, at: attempt.createdAt)
    }

    /// Registers a dataset under the next version of its name; content that the name has already is returned as it is registered.
    @discardableResult
    public func insert(dataset: DatasetRecord) throws -> (dataset: DatasetRecord, isNew: Bool) {
        let known = try row("SELECT \(DatasetRecord.selected) FROM dataset WHERE name = ? AND sha256 = ?", [dataset.name, dataset.sha256]) {
            try DatasetRecord(&$0)
        }
        if let known { return (known, false) }
        var dataset = dataset
        dataset.version = (try self.dataset(named: dataset.name)?.version ?? 0) + 1
        try execute(
            "INSERT INTO dataset (\(DatasetRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            dataset.id, dataset.name, dataset.version, dataset.sha256, dataset.rows, dataset.bytes, dataset.format, dataset.path,
            dataset.producedBy, dataset.outputName, dataset.source?.text(), dataset.createdAt.milliseconds)
        return (dataset, true)
    }

    /// Registers a checkpoint with its `checkpoint` event. One that is at the same path already is a conflict.
    public func insert(checkpoint: CheckpointRecord) throws {
        try execute(
            "INSERT INTO checkpoint (\(CheckpointRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            checkpoint.id, checkpoint.jobID, checkpoint.attemptID, checkpoint.kind.rawValue, checkpoint.step, checkpoint.path,
            checkpoint.sha256, checkpoint.bytes, checkpoint.metrics.text(), checkpoint.pinned ? 1 : 0, checkpoint.createdAt.milliseconds,
            checkpoint.deletedAt?.milliseconds)
        try appendEvent(of: checkpoint, action: "created", at: checkpoint.createdAt)
    }

    /// Registers an evaluation with its `evaluation` event.
    public func insert(evaluation: EvaluationRecord) throws {
        try execute(
            "INSERT INTO evaluation (\(EvaluationRecord.columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            evaluation.id, evaluation.jobID, evaluation.attemptID, evaluation.model, evaluation.modelArtifactID, evaluation.path,
            evaluation.document.text(), evaluation.compare?.text(), evaluation.gate?.text(), evaluation.createdAt.milliseconds)
        try appendEvent(
            "evaluation", experiment: try experimentID(ofJob: evaluation.jobID), job: evaluation.jobID, attempt: evaluation.attemptID,
            at: evaluation.createdAt,
            payload: [
                "id": .string(evaluation.id), "job_id": .string(evaluation.jobID), "attempt_id": JSONValue(evaluation.attemptID),
                "model": .string(evaluation.model), "benchmarks": evaluation.document["benchmarks"] ?? .null,
                "gate": evaluation.gate ?? .null,
            ])
    }

    func appendEvent(of checkpoint: CheckpointRecord, action: String, at: Timestamp) throws {
        try appendEvent(
            "checkpoint", experiment: try experimentID(ofJob: checkpoint.jobID), job: checkpoint.jobID, attempt: checkpoint.attemptID,
            at: at,
            payload: [
                "id": .string(checkpoint.id), "action": .string(action), "job_id": .string(checkpoint.jobID),
                "attempt_id": JSONValue(checkpoint.attemptID), "kind": .string(checkpoint.kind.rawValue),
                "step": JSONValue(checkpoint.step),
                "path": .string(checkpoint.path), "bytes": .int(checkpoint.bytes), "metrics": checkpoint.metrics,
                "pinned": .bool(checkpoint.pinned),
            ])
    }

}
