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
