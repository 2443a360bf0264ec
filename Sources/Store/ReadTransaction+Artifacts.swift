import Domain

/// Which checkpoints a list shows.
public struct CheckpointFilter: Sendable {
    public var jobID: String?
    /// Whether checkpoints whose files were removed are shown too.
    public var includesDeleted: Bool
    public var reach: Reach

    /// A filter; what is left out does not restrict.
    public init(jobID: String? = nil, includesDeleted: Bool = false, reach: Reach = .everything) {
        self.reach = reach
        self.jobID = jobID
        self.includesDeleted = includesDeleted
    }
}

extension ReadTransaction {
    /// The dataset with this identifier.
    public func dataset(_ id: String) throws -> DatasetRecord? {
        try row("SELECT \(DatasetRecord.selected) FROM dataset WHERE id = ?", [id]) { try DatasetRecord(&$0) }
    }

    /// A version of a named dataset; the latest where none is given.
    public func dataset(named name: String, version: Int? = nil) throws -> DatasetRecord? {
        var conditions = Conditions()
        conditions.add("name", equals: name)
        conditions.add("version", equals: version)
        return try row(
            "SELECT \(DatasetRecord.selected) FROM dataset\(conditions.sql) ORDER BY version DESC LIMIT 1", conditions.arguments
        ) { try DatasetRecord(&$0) }
    }

    /// Whether a dataset's content lies at this path.
    public func isContent(path: String) throws -> Bool {
        try row("SELECT 1 FROM dataset WHERE path = ? LIMIT 1", [path]) { $0.integer() } != nil
    }

    /// The first dataset with this content.
    public func dataset(sha256: String) throws -> DatasetRecord? {
        try row("SELECT \(DatasetRecord.selected) FROM dataset WHERE sha256 = ? ORDER BY id LIMIT 1", [sha256]) { try DatasetRecord(&$0) }
    }

    /// Datasets, newest first.
    ///
    /// - Parameters:
    ///   - tag: Only those with this tag.
    ///   - after: The identifier of the last one of the page before.
    public func datasets(
        name: String? = nil, tag: (key: String, value: String)? = nil, within reach: Reach = .everything, limit: Int,
        after: String? = nil
    ) throws -> Page<DatasetRecord> {
        var conditions = Conditions()
        conditions.add(datasetsWithin: reach)
        conditions.add("name", equals: name)
        if let tag {
            conditions.add("id IN (SELECT dataset_id FROM dataset_tag WHERE key = ? AND value = ?)", tag.key, tag.value)
        }
        if let after { conditions.add("id < ?", after) }
        return try page(
            "SELECT \(DatasetRecord.selected) FROM dataset\(conditions.sql) ORDER BY id DESC", conditions.arguments, limit: limit
        ) { try DatasetRecord(&$0) }
    }

    /// The checkpoint with this identifier, removed or not.
    public func checkpoint(_ id: String) throws -> CheckpointRecord? {
        try row("SELECT \(CheckpointRecord.columns) FROM checkpoint WHERE id = ?", [id]) { try CheckpointRecord(&$0) }
    }

    /// The checkpoint whose files are at `path` now.
    public func checkpoint(path: String) throws -> CheckpointRecord? {
        try row("SELECT \(CheckpointRecord.columns) FROM checkpoint WHERE path = ? AND deleted_at_ms IS NULL", [path]) {
            try CheckpointRecord(&$0)
        }
    }

    /// Checkpoints, newest first.
    ///
    /// - Parameter after: The identifier of the last one of the page before.
    public func checkpoints(_ filter: CheckpointFilter = CheckpointFilter(), limit: Int, after: String? = nil) throws -> Page<
        CheckpointRecord
    > {
        var conditions = Conditions()
        conditions.add("job_id", equals: filter.jobID)
        conditions.add(job: "job_id", within: filter.reach)
        if !filter.includesDeleted { conditions.add("deleted_at_ms IS NULL") }
        if let after { conditions.add("id < ?", after) }
        return try page(
            "SELECT \(CheckpointRecord.columns) FROM checkpoint\(conditions.sql) ORDER BY id DESC", conditions.arguments, limit: limit
        ) { try CheckpointRecord(&$0) }
    }

    /// The evaluation with this identifier.
    public func evaluation(_ id: String) throws -> EvaluationRecord? {
        try row("SELECT \(EvaluationRecord.columns) FROM evaluation WHERE id = ?", [id]) { try EvaluationRecord(&$0) }
    }

    /// Evaluations, newest first.
    ///
    /// - Parameter after: The identifier of the last one of the page before.
    public func evaluations(
        job: String? = nil, experiment: String? = nil, within reach: Reach = .everything, limit: Int, after: String? = nil
    ) throws -> Page<EvaluationRecord> {
        var conditions = Conditions()
        conditions.add(job: "job_id", within: reach)
        conditions.add("job_id", equals: job)
        if let experiment { conditions.add("job_id IN (SELECT id FROM job WHERE experiment_id = ?)", experiment) }
        if let after { conditions.add("id < ?", after) }
        return try page(
            "SELECT \(EvaluationRecord.columns) FROM evaluation\(conditions.sql) ORDER BY id DESC", conditions.arguments, limit: limit
        ) { try EvaluationRecord(&$0) }
    }
}
