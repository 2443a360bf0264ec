import Domain

/// One pass of a job over its records with one seed, as far as its journal was followed.
public struct GenerationPassRecord: Sendable, Hashable {
    public var id: Int64 = 0
    public var jobID: String
    public var seed: Int
    public var chunk: Int
    public var chunks: Int
    /// The place of the first record in the data.
    public var first: Int
    public var total: Int
    public var fingerprint: String
    public var done = 0
    /// Records that were given up and have not come since.
    public var failed = 0
    /// Of the done ones, those taken over from an earlier job.
    public var reused = 0
    public var tokens = 0
    /// Records by why they ended, of those whose lines were followed.
    public var finishes: [GenerationEntry.Finish: Int] = [:]
    public var firstAt: Timestamp?
    public var lastAt: Timestamp?

    static let columns =
        "id, job_id, seed, chunk, chunks, first, total, fingerprint, done, failed, reused, tokens, stopped, truncated, called, otherwise, "
        + "first_at_ms, last_at_ms"

    init(job: String, _ pass: GenerationEntry.Pass) {
        jobID = job
        (seed, chunk, chunks) = (pass.seed, pass.chunk, pass.chunks)
        (first, total, fingerprint) = (pass.first, pass.total, pass.fingerprint)
    }

    init(_ row: inout ColumnReader) {
        id = row.long()
        jobID = row.text()
        seed = row.integer()
        chunk = row.integer()
        chunks = row.integer()
        first = row.integer()
        total = row.integer()
        fingerprint = row.text()
        done = row.integer()
        failed = row.integer()
        reused = row.integer()
        tokens = row.integer()
        for finish in GenerationEntry.Finish.allCases { finishes[finish] = row.integer() }
        firstAt = row.optionalTimestamp()
        lastAt = row.optionalTimestamp()
    }
}

/// A record that was given up and has not come since.
public struct GenerationFailureRecord: Sendable, Hashable {
    public var seed: Int
    /// Counts from 0 in the pass.
    public var position: Int
    /// The place of the record in the data.
    public var record: Int
    public var cause: String
    public var message: String
    /// Requests in all attempts.
    public var tries: Int
    public var at: Timestamp

    static let columns = "seed, position, first + position, cause, message, tries, generation_failure.last_at_ms"

    init(_ row: inout ColumnReader) {
        seed = row.integer()
        position = row.integer()
        record = row.integer()
        cause = row.text()
        message = row.text()
        tries = row.integer()
        at = row.timestamp()
    }
}
