import Domain

/// How much the database holds, for `/healthz` and `/metrics`.
public struct StoreStatistics: Sendable, Hashable {
    /// Bytes of the main file's pages.
    public var databaseBytes: Int64
    public var experiments: Int
    public var jobs: Int
    public var liveAttempts: Int
    public var datasets: Int
    /// Checkpoints whose files exist.
    public var checkpoints: Int
    public var evaluations: Int
    public var lastEventSeq: Int64
    /// The number of the last applied migration.
    public var schemaVersion: Int
}

extension ReadTransaction {
    /// The number of bytes of the database's pages.
    public func databaseSize() throws -> Int64 {
        try row("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()") { $0.long() } ?? 0
    }

    /// Counts for health and monitoring.
    public func statistics() throws -> StoreStatistics {
        func count(_ sql: String) throws -> Int { try row("SELECT count(*) FROM \(sql)") { $0.integer() } ?? 0 }
        return StoreStatistics(
            databaseBytes: try databaseSize(), experiments: try count("experiment"), jobs: try count("job"),
            liveAttempts: try count("attempt WHERE finished_at_ms IS NULL"), datasets: try count("dataset"),
            checkpoints: try count("checkpoint WHERE deleted_at_ms IS NULL"), evaluations: try count("evaluation"),
            lastEventSeq: try lastEventSeq(), schemaVersion: try row("SELECT max(version) FROM schema_migration") { $0.integer() } ?? 0)
    }

    /// The stored answer to a request with this key.
    public func idempotency(key: String, route: String) throws -> IdempotencyRecord? {
        try row("SELECT \(IdempotencyRecord.columns) FROM idempotency WHERE key = ? AND route = ?", [key, route]) {
            try IdempotencyRecord(&$0)
        }
    }

    /// The known hash of the file at `path`; the caller compares the facts.
    public func fileHash(path: String) throws -> FileHashRecord? {
        try row("SELECT path, device, inode, bytes, mtime_ns, sha256 FROM file_hash WHERE path = ?", [path]) {
            FileHashRecord(
                path: $0.text(), device: UInt64(bitPattern: $0.long()), inode: UInt64(bitPattern: $0.long()), bytes: $0.long(),
                modifiedNanoseconds: $0.long(), sha256: $0.text())
        }
    }

    /// A value that the daemon keeps for itself.
    public func setting(_ key: String) throws -> String? { try row("SELECT value FROM setting WHERE key = ?", [key]) { $0.text() } }
}

extension ReadTransaction {
    /// The time of the newest event or job, by which a clock that went back is seen; `nil` in an empty database.
    public func newestMoment() throws -> Timestamp? {
        let sql = """
            SELECT max(coalesce((SELECT at_ms FROM event ORDER BY seq DESC LIMIT 1), 0),
                coalesce((SELECT created_at_ms FROM job ORDER BY id DESC LIMIT 1), 0))
            """
        guard let newest = try row(sql, [], { $0.long() }), newest > 0 else { return nil }
        return Timestamp(milliseconds: newest)
    }
}
