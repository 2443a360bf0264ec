import Domain
import GRDB

extension Conditions {
    /// Keeps to the experiments within a reach.
    ///
    /// - Parameter column: that of the experiment's identifier.
    mutating func add(experiment column: String, within reach: Reach) {
        switch reach {
        case .everything: break
        case .projects(let names):
            let marks = names.map { _ in "?" }.joined(separator: ", ")
            add("\(column) IN (SELECT id FROM experiment WHERE project IN (\(marks)))", list: names.sorted())
        case .experiment(let id): add("\(column) = ?", id)
        }
    }

    /// Keeps to what jobs within a reach made.
    mutating func add(job column: String, within reach: Reach) {
        guard reach != .everything else { return }
        var inner = Conditions()
        inner.add(experiment: "experiment_id", within: reach)
        add("\(column) IN (SELECT id FROM job\(inner.sql))", list: inner.arguments)
    }

    /// Keeps to datasets that jobs within a reach made or read and, where it spans projects, those that no job made: they are everybody's.
    ///
    /// Equal content is one dataset, which belongs to the job that made it first; others have it among their outputs.
    mutating func add(datasetsWithin reach: Reach) {
        guard reach != .everything else { return }
        var made = Conditions()
        made.add(experiment: "experiment_id", within: reach)
        var read = Conditions()
        read.add(job: "job_id", within: reach)
        let shared = if case .projects = reach { "produced_by IS NULL OR " } else { "" }
        add(
            """
            (\(shared)id IN (SELECT artifact_id FROM job_input\(read.sql))
            OR id IN (SELECT output.value ->> '$.id' FROM job, json_each(job.outputs) AS output\(made.sql)))
            """, list: read.arguments + made.arguments)
    }
}

extension ReadTransaction {
    /// The experiment of a job, without the cost of its spec.
    public func experimentID(ofJob id: String) throws -> String? {
        try row("SELECT experiment_id FROM job WHERE id = ?", [id]) { $0.text() }
    }

    /// How many versions of a name there are, or of those within a reach.
    public func datasetCount(named name: String, within reach: Reach = .everything) throws -> Int {
        var conditions = Conditions()
        conditions.add("name", equals: name)
        conditions.add(datasetsWithin: reach)
        return try row("SELECT count(*) FROM dataset\(conditions.sql)", conditions.arguments) { $0.integer() } ?? 0
    }

    /// Whether a dataset is within a reach.
    public func isDataset(_ id: String, within reach: Reach) throws -> Bool {
        var conditions = Conditions()
        conditions.add("id", equals: id)
        conditions.add(datasetsWithin: reach)
        return try row("SELECT 1 FROM dataset\(conditions.sql)", conditions.arguments) { $0.integer() } != nil
    }
}

/// What of one project may be handed to jobs of another, as a result that is used again.
///
/// A job's results are read by whoever reads its project. So those of another project may stand in only while nobody is confined to the
/// one without the other: every token that is limited to projects and reads the job's own reads the other, too.
enum SharedResults {
    /// A condition on two SQL expressions: the project that a result is of, and that of the job which is to have it.
    static func condition(of owner: String, for project: String) -> String {
        """
        (\(owner) IS \(project) OR NOT EXISTS (
            SELECT 1 FROM api_token WHERE projects IS NOT NULL AND revoked_at_ms IS NULL
            AND (expires_at_ms IS NULL OR expires_at_ms > unixepoch() * 1000)
            AND \(project) IN (SELECT value FROM json_each(projects)) AND \(owner) NOT IN (SELECT value FROM json_each(projects))))
        """
    }
}
