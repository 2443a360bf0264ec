import GRDB

/// Pages of the file that hold nothing.
enum FreePages {
    /// What `PRAGMA auto_vacuum` says where pages can be given back piece by piece.
    private static let incremental = 2

    /// Makes a database of an older version one that can give pages back. It is written anew for that, once.
    static func prepare(_ database: Database) throws {
        guard try Int.fetchOne(database, sql: "PRAGMA auto_vacuum") != incremental else { return }
        do {
            try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            try database.execute(sql: "VACUUM")
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            // Nothing is lost: the file stays as it was, and the next start tries again.
            return
        }
    }
}

extension ReadTransaction {
    /// How many pages of the file hold nothing.
    public func freePages() throws -> Int { try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0 }
}
