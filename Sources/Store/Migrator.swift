import Domain
import GRDB
import Glibc

/// Brings a database to the newest schema this program knows, or refuses it.
struct Migrator {
    let migrations: [Migration]
    /// The folder for copies made before a change.
    let backupFolder: String
    let now: @Sendable () -> Timestamp

    private struct Applied {
        let version: Int
        let name: String
        let checksum: String
    }

    /// Applies what is pending, each migration in a transaction of its own. Returns the path of the copy made before, if any.
    @discardableResult
    func migrate(_ database: Database) throws -> String? {
        let applied = try applied(in: database)
        try check(applied)
        let pending = migrations.dropFirst(applied.count)
        guard !pending.isEmpty else { return nil }
        let backup = try applied.last.map { try backUp(database, version: $0.version) }
        for migration in pending { try apply(migration, to: database) }
        return backup
    }

    private func applied(in database: Database) throws -> [Applied] {
        guard try database.tableExists("schema_migration") else {
            let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema WHERE type = 'table'") ?? 0
            guard tables == 0 else { throw StoreError(.schema, "the file is a database, but not one of Anneal") }
            return []
        }
        return try Row.fetchAll(database, sql: "SELECT version, name, checksum FROM schema_migration ORDER BY version").map {
            Applied(version: $0[0], name: $0[1], checksum: $0[2])
        }
    }

    private func check(_ applied: [Applied]) throws(StoreError) {
        if let last = applied.last, last.version > migrations.count {
            throw StoreError(
                .schema,
                "the database has schema version \(last.version) (\(last.name)), and this program knows up to \(migrations.count); "
                    + "use the newer program, or a copy from the folder backups")
        }
        for (entry, migration) in zip(applied, migrations) {
            guard entry.version == migration.version, entry.checksum == migration.checksum else {
                throw StoreError(
                    .schema,
                    "migration \(entry.version) (\(entry.name)) was applied in another form than this program carries; "
                        + "the database was made by another build")
            }
        }
    }

    /// Keeps a whole copy. `VACUUM INTO` writes a consistent database without the write-ahead log.
    private func backUp(_ database: Database, version: Int) throws -> String {
        guard mkdir(backupFolder, 0o700) == 0 || errno == EEXIST else {
            throw StoreError(.inputOutput, "mkdir \(backupFolder): \(String(cString: strerror(errno)))")
        }
        // A colon is awkward in file names on other systems, where a copy may be carried to.
        let time = String(now().description.map { $0 == ":" ? "-" : $0 })
        let digits = String(version)
        let path = "\(backupFolder)/\(time)-v\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits).db"
        // Under its name only when it is whole: half a copy must not look like one.
        try database.execute(sql: "VACUUM INTO ?", arguments: [path + ".partial"])
        guard rename(path + ".partial", path) == 0 else {
            throw StoreError(.inputOutput, "rename to \(path): \(String(cString: strerror(errno)))")
        }
        return path
    }

    private func apply(_ migration: Migration, to database: Database) throws {
        // Rebuilding a table drops the one that others refer to; inside a transaction this pragma would do nothing.
        try database.execute(sql: "PRAGMA foreign_keys = OFF")
        defer { restoreForeignKeys(database) }
        try database.inTransaction(.immediate) {
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS schema_migration (
                        version INTEGER PRIMARY KEY CHECK (version >= 1), name TEXT NOT NULL, checksum TEXT NOT NULL,
                        applied_at_ms INTEGER NOT NULL
                    ) STRICT
                    """)
            try database.execute(sql: migration.sql)
            let violations = try Row.fetchAll(database, sql: "PRAGMA foreign_key_check")
            guard violations.isEmpty else {
                let table: String? = violations[0][0]
                throw StoreError(
                    .schema,
                    "migration \(migration.version) (\(migration.name)) leaves \(violations.count) broken references, "
                        + "one in \(table ?? "?")")
            }
            try database.execute(
                sql: "INSERT INTO schema_migration (version, name, checksum, applied_at_ms) VALUES (?, ?, ?, ?)",
                arguments: [migration.version, migration.name, migration.checksum, now().milliseconds])
            return .commit
        }
    }

    private func restoreForeignKeys(_ database: Database) {
        do {
            try database.execute(sql: "PRAGMA foreign_keys = ON")
        } catch {
            // The pragma cannot fail outside a transaction; were it to, running on without the checks would be wrong.
            preconditionFailure("PRAGMA foreign_keys = ON: \(error)")
        }
    }
}
