import Domain

/// A registered artifact that a job made.
public struct ProductRecord: Sendable, Hashable {
    public var id: String
    /// `dataset`, `checkpoint` or `evaluation`.
    public var type: JobInputRecord.ArtifactType
    /// A name for people: a dataset's name and version, a checkpoint's path, an evaluation's model.
    public var label: String
}

extension ReadTransaction {
    /// The job that made an artifact; `nil` for one that no job made or that is not known.
    public func producer(of artifact: String) throws -> JobRecord? {
        let sql = """
            SELECT \(JobRecord.columns) FROM job WHERE id = (
                SELECT produced_by FROM dataset WHERE id = ?
                UNION ALL SELECT job_id FROM checkpoint WHERE id = ?
                UNION ALL SELECT job_id FROM evaluation WHERE id = ?
            )
            """
        return try row(sql, [artifact, artifact, artifact]) { try JobRecord(&$0) }
    }

    /// The uses of an artifact, oldest job first.
    public func consumers(of artifact: String) throws -> [JobInputRecord] {
        try rows("SELECT \(JobInputRecord.columns) FROM job_input WHERE artifact_id = ? ORDER BY job_id, pointer", [artifact]) {
            try JobInputRecord(&$0)
        }
    }

    /// What a job consumed, by its place in the spec.
    public func inputs(job: String) throws -> [JobInputRecord] {
        try rows("SELECT \(JobInputRecord.columns) FROM job_input WHERE job_id = ? ORDER BY pointer", [job]) { try JobInputRecord(&$0) }
    }

    /// What a job made, oldest first.
    public func products(job: String) throws -> [ProductRecord] {
        let sql = """
            SELECT id, 'dataset', name || '@' || version, created_at_ms FROM dataset WHERE produced_by = ?
            UNION ALL SELECT id, 'checkpoint', path, created_at_ms FROM checkpoint WHERE job_id = ?
            UNION ALL SELECT id, 'evaluation', model, created_at_ms FROM evaluation WHERE job_id = ?
            ORDER BY 4, 1
            """
        return try rows(sql, [job, job, job]) { ProductRecord(id: $0.text(), type: try $0.word(), label: $0.text()) }
    }

    /// The evaluations of a checkpoint, oldest first.
    public func evaluations(ofModel checkpoint: String) throws -> [EvaluationRecord] {
        try rows("SELECT \(EvaluationRecord.columns) FROM evaluation WHERE model_artifact_id = ? ORDER BY id", [checkpoint]) {
            try EvaluationRecord(&$0)
        }
    }

    /// Whether a job that has not ended uses the artifact, so that its files must stay.
    public func isInUse(artifact: String) throws -> Bool {
        let sql = """
            SELECT 1 FROM job_input JOIN job ON job.id = job_input.job_id
            WHERE artifact_id = ? AND job.finished_at_ms IS NULL LIMIT 1
            """
        return try row(sql, [artifact]) { $0.integer() } != nil
    }
}
