import GRDB

/// A whole copy of a database as it is at one moment, made while others write to it.
public enum DatabaseCopy {
    /// Pages that are copied between two reports of progress.
    private static let pagesPerStep: CInt = 512

    /// Copies the database at `path` to the new file `target`, and checks the copy. Blocks.
    ///
    /// The source is read inside one read transaction: the write-ahead log lets others write on, and nothing of what they write comes
    /// in (sqlite.org/backup.html restarts a copy only where the reading connection sees a change).
    ///
    /// - Parameter progress: gets the pages done and those in all; what it throws ends the copying.
    public static func make(
        of path: String, to target: String, limits: StoreLimits = .standard, progress: @escaping (_ done: Int, _ total: Int) throws -> Void
    ) throws {
        do {
            let source = try Connection.reader(path: path, number: 0, limits: limits)
            defer { Connection.close(source) }
            let copy = try Connection.offline(path: target)
            defer { Connection.close(copy) }
            try source.read { database in
                _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema")
                try copy.writeWithoutTransaction { destination in
                    try database.backup(to: destination, pagesPerStep: pagesPerStep) {
                        try progress($0.completedPageCount, $0.totalPageCount)
                    }
                }
            }
            try copy.writeWithoutTransaction { database in
                // The copied header asks for a write-ahead log.
                try database.execute(sql: "PRAGMA journal_mode = DELETE")
                let verdict = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
                guard verdict == "ok" else { throw StoreError(.corrupt, "the copy of the database is damaged: \(verdict ?? "no answer")") }
            }
        } catch let error as DatabaseError {
            throw StoreError.mapping(error, folder: target)
        }
    }
}
