import Domain
import GRDB

/// A database that no daemon works on, such as a backup's: one connection, used on the caller's thread, which it blocks.
public final class OfflineDatabase {
    private let connection: DatabaseQueue
    private let folder: String
    private let limits: StoreLimits

    /// Opens the database at `path`, which must be there, as a single file without a write-ahead log.
    ///
    /// - Parameter migrates: whether it is brought up to date, with a copy of what it was in `backups` beside it; otherwise it must only
    ///   be one that this program can read.
    public init(
        path: String, migrates: Bool = false, limits: StoreLimits = .standard, now: @escaping @Sendable () -> Timestamp = Store.systemTime
    ) throws {
        folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        self.limits = limits
        do {
            connection = try Connection.offline(path: path)
            guard migrates else { return }
            let migrator = Migrator(migrations: Migration.embedded, backupFolder: folder + "/backups", now: now)
            try connection.writeWithoutTransaction { database in
                _ = try migrator.migrate(database)
                try RowPacking.run(database, limits: limits)
            }
        } catch {
            throw StoreError.mapping(error, folder: folder)
        }
    }

    /// Runs `body` over the database.
    public func read<T>(_ body: (ReadTransaction) throws -> T) throws -> T {
        do {
            return try connection.read { try body(ReadTransaction($0, limits: limits)) }
        } catch {
            throw StoreError.mapping(error, folder: folder)
        }
    }

    /// Runs `body` in a transaction, which is on disk when this returns.
    public func write<T>(_ body: (WriteTransaction) throws -> T) throws -> T {
        do {
            return try connection.write { try body(WriteTransaction($0, limits: limits, metricTails: MetricTails())) }
        } catch {
            throw StoreError.mapping(error, folder: folder)
        }
    }

    /// Closes the file.
    public func close() { Connection.close(connection) }
}
