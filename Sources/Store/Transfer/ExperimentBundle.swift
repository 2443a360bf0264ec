import Domain
import GRDB

/// The rows of one experiment in a database file of their own, for another daemon.
public enum ExperimentBundle {
    /// Writes the rows of an experiment, as they are at one moment, from the database at `path` to the new file `target`. Blocks.
    ///
    /// What rows of other experiments they refer to is left out. All points of curves are packed, and no token's hash is in it.
    public static func write(_ experiment: String, of path: String, to target: String, at: Timestamp, limits: StoreLimits = .standard)
        throws
    {
        do {
            try OfflineDatabase(path: target, migrates: true, limits: limits).close()
            let source = try Connection.reader(path: path, number: 0, limits: limits)
            defer { Connection.close(source) }
            let bundle = try Connection.offline(path: target)
            defer { Connection.close(bundle) }
            try source.read { database in
                let known = try Int.fetchOne(database, sql: "SELECT 1 FROM experiment WHERE id = ?", arguments: [experiment])
                guard known != nil else { throw StoreError(.notFound, "there is no experiment \(experiment)") }
                try bundle.write { copy in
                    var transfer = RowTransfer(from: database, to: copy)
                    try transfer.copy(experiment: experiment)
                }
            }
            try bundle.write { try WriteTransaction($0, limits: limits, metricTails: MetricTails()).closeBundle(at: at) }
        } catch {
            throw StoreError.mapping(error, folder: target)
        }
    }
}

extension WriteTransaction {
    /// Packs what waits of curves; what only the daemon of origin has use for goes.
    fileprivate func closeBundle(at: Timestamp) throws {
        let waiting = try rows("SELECT DISTINCT attempt.id FROM metric_batch JOIN attempt ON ordinal = attempt_ordinal") { $0.text() }
        for attempt in waiting { try packMetrics(attempt: attempt, at: at) }
        try execute("DELETE FROM metric_batch")
        try execute("UPDATE metric_attempt SET packed_seq = 0, dropped_seq = 0")
        try execute("UPDATE attempt SET token_hash = NULL WHERE token_hash IS NOT NULL")
    }
}

/// A bundle that came from elsewhere, and may hold anything. Blocks; used on one thread.
public final class ReceivedExperiment {
    /// A dataset that it names.
    public struct Dataset: Sendable, Hashable {
        public var id: String
        public var name: String
        public var version: Int
        public var sha256: String
        public var path: String
    }

    /// The experiment's identifier, name and project.
    public let id: String
    public let name: String
    public let project: String
    /// Every identifier of its rows, by kind.
    public let identifiers: [IdentifierKind: [String]]
    public let datasets: [Dataset]
    private let connection: DatabaseQueue
    private let limits: StoreLimits

    /// Opens the file at `path`, brings it to this program's schema, and refuses what is no bundle.
    public init(path: String, limits: StoreLimits = .standard) throws {
        self.limits = limits
        do {
            try Self.examine(path)
            try OfflineDatabase(path: path, migrates: true, limits: limits).close()
            connection = try Connection.untrusted(path: path)
            (id, name, project, identifiers, datasets) = try connection.read { database in
                let reader = ReadTransaction(database, limits: limits)
                let experiments = try reader.rows("SELECT id, name, project FROM experiment") { ($0.text(), $0.text(), $0.text()) }
                guard experiments.count == 1, let experiment = experiments.first else {
                    throw StoreError(.corrupt, "it holds \(experiments.count) experiments and not one")
                }
                var identifiers: [IdentifierKind: [String]] = [:]
                for (kind, table) in Self.owners {
                    identifiers[kind] = try reader.rows("SELECT id FROM \(table) ORDER BY id") { $0.text() }
                }
                // Their form matters: folders are named by them.
                for (kind, ids) in identifiers {
                    guard let wrong = ids.first(where: { !IdentifierGenerator.isIdentifier($0, of: kind) }) else { continue }
                    throw StoreError(.corrupt, "'\(wrong.prefix(40))' is no identifier")
                }
                let datasets = try reader.rows("SELECT id, name, version, sha256, path FROM dataset ORDER BY id") {
                    Dataset(id: $0.text(), name: $0.text(), version: $0.integer(), sha256: $0.text(), path: $0.text())
                }
                return (experiment.0, experiment.1, experiment.2, identifiers, datasets)
            }
        } catch {
            throw StoreError.mapping(error, folder: path)
        }
    }

    /// Tables whose rows have identifiers of their own.
    static let owners: [(IdentifierKind, String)] = [
        (.experiment, "experiment"), (.job, "job"), (.attempt, "attempt"), (.dataset, "dataset"), (.checkpoint, "checkpoint"),
        (.evaluation, "evaluation"), (.run, "tracked_run"),
    ]

    /// Refuses what could make a migration do something else than it says.
    private static func examine(_ path: String) throws {
        let connection = try Connection.untrusted(path: path)
        defer { Connection.close(connection) }
        try connection.read { database in
            let strange = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')") ?? 0
            guard strange == 0 else { throw StoreError(.corrupt, "it holds views or triggers") }
            let verdict = try String.fetchOne(database, sql: "PRAGMA quick_check(1)")
            guard verdict == "ok" else { throw StoreError(.corrupt, "it is damaged: \(verdict ?? "no answer")") }
        }
    }

    /// Copies its rows to the new file `target`, which then has this program's own schema and nothing else in it.
    ///
    /// - Parameter renames: new identifiers by old ones.
    /// - Returns: a hash of the rows as they came, which is that of any other bundle of the same rows.
    public func copy(to target: String, renames: [String: String]) throws -> String {
        do {
            try OfflineDatabase(path: target, migrates: true, limits: limits).close()
            let copy = try Connection.offline(path: target)
            defer { Connection.close(copy) }
            return try connection.read { received in
                try copy.write { database in
                    var transfer = RowTransfer(from: received, to: database)
                    transfer.renames = renames
                    try transfer.copy(experiment: id)
                    return transfer.digest.finalize().hexadecimal
                }
            }
        } catch {
            throw StoreError.mapping(error, folder: target)
        }
    }

    /// Closes the file.
    public func close() { Connection.close(connection) }
}
