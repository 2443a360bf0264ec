import Domain
import GRDB

/// How the store opens its connections.
enum Connection {
    static func writer(path: String, limits: StoreLimits) throws -> DatabaseQueue {
        var configuration = common(label: "anneal-writer", limits: limits)
        configuration.prepareDatabase { database in
            // Takes effect on a new database; pages that metrics leave can then be given back without writing all of it anew.
            try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            let mode = try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL")
            guard mode == "wal" else {
                throw StoreError(.inputOutput, "this file system cannot hold a write-ahead log (journal_mode \(mode ?? "unknown"))")
            }
            // An answered write must survive the loss of power: each commit waits for the disk.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            try database.execute(sql: "PRAGMA journal_size_limit = \(limits.journalBytesMax)")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    static func reader(path: String, number: Int, limits: StoreLimits) throws -> DatabaseQueue {
        var configuration = common(label: "anneal-reader-\(number)", limits: limits)
        configuration.readonly = true
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Of a database that is no daemon's: it is one file, without a log beside it.
    static func offline(path: String) throws -> DatabaseQueue {
        var configuration = common(label: "anneal-offline", limits: .standard)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA journal_mode = DELETE")
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Of a file that came from elsewhere: nothing that its schema says is carried out.
    static func untrusted(path: String) throws -> DatabaseQueue {
        var configuration = common(label: "anneal-untrusted", limits: .standard)
        configuration.readonly = true
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA trusted_schema = OFF")
            try database.execute(sql: "PRAGMA cell_size_check = ON")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Closes a connection that no thread uses any more. The last one of a database checkpoints and removes its log.
    static func close(_ connection: DatabaseQueue) {
        do {
            try connection.close()
        } catch {
            // Only a statement in use keeps a connection open, and none is; what was committed is in the log either way.
            assertionFailure("closing a connection: \(error)")
        }
    }

    private static func common(label: String, limits: StoreLimits) -> Configuration {
        var configuration = Configuration()
        configuration.label = label
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(limits.lockWait.inSeconds)
        return configuration
    }
}
