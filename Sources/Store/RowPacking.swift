import Curves
import Domain
import GRDB

/// Packs the points that schema versions 1 and 2 kept one row each.
enum RowPacking {
    /// Moves all rows into chunks and drops their table. Does nothing in a database that has none.
    static func run(_ database: Database, limits: StoreLimits) throws {
        guard try database.tableExists("metric_row") else { return }
        try database.inTransaction(.immediate) {
            let transaction = WriteTransaction(database, limits: limits, metricTails: MetricTails())
            let series = try transaction.rows("SELECT DISTINCT attempt_ordinal, key_id FROM metric_row") { ($0.long(), $0.long()) }
            for (attempt, key) in series {
                var points = Points()
                _ = try transaction.rows(
                    "SELECT step, at_ms, value FROM metric_row WHERE attempt_ordinal = ? AND key_id = ? ORDER BY step, at_ms",
                    [attempt, key]
                ) { points.append(Points.Place(step: $0.long(), time: $0.long()), $0.optionalReal() ?? .nan) }
                try transaction.execute(
                    "INSERT INTO metric_series (attempt_ordinal, key_id, source, count) VALUES (?, ?, 0, 0)", attempt, key)
                let id = database.lastInsertedRowID
                try transaction.insertChunks(points, series: id)
                try transaction.sumUp(points, series: id)
            }
            try database.execute(sql: "DROP TABLE metric_row")
            return .commit
        }
    }
}
