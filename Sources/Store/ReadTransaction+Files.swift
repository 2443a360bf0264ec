import Domain
import JSON

/// A file or folder that a row of the database names.
public struct NamedFile: Sendable, Hashable {
    /// The row's identifier.
    public var id: String
    /// The job that it belongs to, where it is one's.
    public var jobID: String?
    public var path: String
    /// Of a dataset's content.
    public var sha256: String?
    public var bytes: Int64
    /// Whether somebody asked for it to be kept.
    public var isPinned = false
    /// Whether its job, or it, has not ended.
    public var isLive = false
}

// What of the disk the database refers to.
extension ReadTransaction {
    /// Contents of datasets.
    public func datasetFiles() throws -> [NamedFile] {
        try rows(
            """
            SELECT id, path, sha256, bytes, EXISTS (SELECT 1 FROM dataset_tag WHERE dataset_id = id AND key = 'pinned')
            FROM dataset ORDER BY id
            """
        ) { NamedFile(id: $0.text(), path: $0.text(), sha256: $0.text(), bytes: $0.long(), isPinned: $0.flag()) }
    }

    /// Checkpoints whose files exist; those of jobs that have not ended first, since trainers remove them.
    public func checkpointFiles() throws -> [NamedFile] {
        try rows(
            """
            SELECT checkpoint.id, job_id, path, bytes, pinned, job.finished_at_ms IS NULL FROM checkpoint JOIN job ON job.id = job_id
            WHERE deleted_at_ms IS NULL ORDER BY job.finished_at_ms IS NOT NULL, checkpoint.id DESC
            """
        ) { NamedFile(id: $0.text(), jobID: $0.text(), path: $0.text(), bytes: $0.long(), isPinned: $0.flag(), isLive: $0.flag()) }
    }

    /// Folders of attempts.
    public func attemptFolders() throws -> [NamedFile] {
        try rows("SELECT id, job_id, directory, finished_at_ms IS NULL FROM attempt ORDER BY ordinal") {
            NamedFile(id: $0.text(), jobID: $0.text(), path: $0.text(), bytes: 0, isLive: $0.flag())
        }
    }

    /// Identifiers of all jobs, and whether each has not ended.
    public func jobLiveness() throws -> [(id: String, isLive: Bool)] {
        try rows("SELECT id, finished_at_ms IS NULL FROM job ORDER BY id") { ($0.text(), $0.flag()) }
    }

    /// Every path below `folder` that a dataset, an output or an input of a job names.
    public func pathsInUse(below folder: String) throws -> Set<String> {
        let prefix = folder + "/"
        return Set(
            try rows(
                """
                SELECT path FROM dataset UNION SELECT path FROM job_input WHERE path IS NOT NULL
                UNION SELECT json_tree.value FROM job, json_tree(job.outputs)
                    WHERE job.outputs IS NOT NULL AND json_tree.type = 'text' AND substr(json_tree.value, 1, ?) = ?
                """, [prefix.unicodeScalars.count, prefix]
            ) { $0.text() }.filter { $0.hasPrefix(prefix) })
    }
}

// What retention may let go of.
extension ReadTransaction {
    /// An experiment is kept whole by one of these tags.
    private static let isKept = """
        EXISTS (SELECT 1 FROM experiment WHERE experiment.id = job.experiment_id
            AND (json_extract(tags, '$.keep') IS NOT NULL OR json_extract(tags, '$.pinned') IS NOT NULL))
        """

    /// Attempts that ended before `moment`, whose job has ended too, after a later attempt.
    public func replacedAttempts(endedBefore moment: Timestamp) throws -> [NamedFile] {
        try rows(
            """
            SELECT attempt.id, job_id, directory FROM attempt JOIN job ON job.id = job_id
            WHERE attempt.finished_at_ms < ? AND job.finished_at_ms IS NOT NULL AND NOT \(Self.isKept)
                AND EXISTS (SELECT 1 FROM attempt AS later WHERE later.job_id = attempt.job_id AND later.number > attempt.number)
            ORDER BY attempt.id
            """, [moment.milliseconds]
        ) { NamedFile(id: $0.text(), jobID: $0.text(), path: $0.text(), bytes: 0) }
    }

    /// Checkpoints of trainings that ended before `moment`, which are pinned by nobody and named by no output, input or evaluation.
    public func supersededCheckpoints(endedBefore moment: Timestamp) throws -> [NamedFile] {
        try rows(
            """
            SELECT checkpoint.id, job_id, path, bytes FROM checkpoint JOIN job ON job.id = job_id
            WHERE checkpoint.kind = 'training' AND pinned = 0 AND deleted_at_ms IS NULL AND job.finished_at_ms < ? AND NOT \(Self.isKept)
                AND NOT EXISTS (SELECT 1 FROM job_input WHERE artifact_id = checkpoint.id)
                AND NOT EXISTS (SELECT 1 FROM evaluation WHERE model_artifact_id = checkpoint.id)
                AND instr(coalesce(job.outputs, ''), checkpoint.id) = 0
                AND (job.state = 'succeeded' OR checkpoint.id <> (SELECT newest.id FROM checkpoint AS newest
                    WHERE newest.job_id = job.id AND newest.deleted_at_ms IS NULL ORDER BY newest.step DESC, newest.id DESC LIMIT 1))
            ORDER BY checkpoint.id
            """, [moment.milliseconds]
        ) { NamedFile(id: $0.text(), jobID: $0.text(), path: $0.text(), bytes: $0.long()) }
    }

    /// How many stored answers to requests are older than `moment`.
    public func storedAnswers(before moment: Timestamp) throws -> (count: Int, bytes: Int64) {
        try row("SELECT count(*), coalesce(sum(length(body)), 0) FROM idempotency WHERE created_at_ms < ?", [moment.milliseconds]) {
            ($0.integer(), $0.long())
        } ?? (0, 0)
    }
}
