import Crypto
import Domain
import FoundationEssentials
import GRDB

/// Copies the rows of one experiment from one database to another, both of this program's schema.
struct RowTransfer {
    let source: Database
    let target: Database
    /// New identifiers by old ones, wherever a text holds them.
    var renames: [String: String] = [:]
    /// Whether small numbers are given anew, as they must be where the target holds other experiments.
    var isRenumbering = false
    /// Called for the next number of the sequence of events.
    var nextSequence: () throws -> Int64 = { 0 }
    /// Takes in every row that is copied.
    var digest = SHA256()
    private var numbers: [String: [Int64: Int64]] = [:]

    init(from source: Database, to target: Database) { (self.source, self.target) = (source, target) }

    /// Copies all rows of the experiment `id`. Call it within a transaction of the target.
    mutating func copy(experiment id: String) throws {
        // A job may refer to a later one whose outputs it took over.
        try target.execute(sql: "PRAGMA defer_foreign_keys = ON")
        for table in ExperimentTable.all { try copy(table, id) }
    }

    private mutating func copy(_ table: ExperimentTable, _ experiment: String) throws {
        let columns = try target.columns(in: table.name).map(\.name)
        let selected = columns.map { column in
            guard let other = table.strangers[column] else { return "\"\(column)\"" }
            return "CASE WHEN \(column) IN (SELECT id FROM \(other) WHERE experiment_id = ?1) THEN \(column) END"
        }
        let sql = "SELECT \(selected.joined(separator: ", ")) FROM \(table.name) WHERE \(table.condition) ORDER BY \(table.order)"
        let rows = try Row.fetchCursor(source, sql: sql, arguments: [experiment])
        let marks = columns.map { _ in "?" }.joined(separator: ", ")
        let insert = try target.makeStatement(
            sql: "INSERT INTO \(table.name) (\(columns.map { "\"\($0)\"" }.joined(separator: ", "))) VALUES (\(marks))")
        while let row = try rows.next() {
            var values = Array(row.databaseValues)
            take(values, of: table, columns)
            for index in values.indices {
                if let number = table.numbers[columns[index]], isRenumbering {
                    values[index] = try renumbered(values[index], number, values, columns)
                } else if !renames.isEmpty, case .string(let text) = values[index].storage {
                    values[index] = Self.renaming(text, by: renames).databaseValue
                }
            }
            if table.name == "metric_key", isRenumbering { continue }
            try insert.execute(arguments: StatementArguments(values))
            if isRenumbering, let own = columns.first.flatMap({ table.numbers[$0] }), [.attempt, .series, .pass].contains(own),
                case .int64(let old) = row.databaseValues.first?.storage, Self.isOwner(table.name)
            {
                numbers["\(own)", default: [:]][old] = target.lastInsertedRowID
            }
        }
    }

    /// Tables whose first column is the number itself, and no reference to it.
    private static func isOwner(_ table: String) -> Bool { ["attempt", "metric_series", "generation_pass"].contains(table) }

    private mutating func renumbered(
        _ value: DatabaseValue, _ number: ExperimentTable.Number, _ values: [DatabaseValue], _ columns: [String]
    ) throws -> DatabaseValue {
        guard case .int64(let old) = value.storage else { return value }
        switch number {
        case .own: return .null
        case .sequence: return try nextSequence().databaseValue
        case .metricKey:
            if let known = numbers["key"]?[old] { return known.databaseValue }
            guard let place = columns.firstIndex(of: "key"), case .string(let key) = values[place].storage else { return value }
            let found = try Int64.fetchOne(target, sql: "SELECT id FROM metric_key WHERE key = ?", arguments: [key])
            if found == nil { try target.execute(sql: "INSERT INTO metric_key (key) VALUES (?)", arguments: [key]) }
            numbers["key", default: [:]][old] = found ?? target.lastInsertedRowID
            return value
        case .attempt, .series, .pass:
            // Unknown where the row itself is new: SQLite gives it a number.
            return numbers["\(number)"]?[old].map(\.databaseValue) ?? .null
        }
    }

    /// What tells two states of an experiment apart. Numbers that each database gives by itself are left out.
    private mutating func take(_ values: [DatabaseValue], of table: ExperimentTable, _ columns: [String]) {
        digest.update(data: Array(table.name.utf8))
        for (value, column) in zip(values, columns) where table.numbers[column] == nil {
            switch value.storage {
            case .null: digest.update(data: [0])
            case .int64(let number): digest.update(data: Array("i\(number) ".utf8))
            case .double(let number): digest.update(data: Array("d\(number.bitPattern) ".utf8))
            case .string(let text): digest.update(data: Array("s\(text.utf8.count) \(text)".utf8))
            case .blob(let data): digest.update(data: Array("b\(data.count) ".utf8) + data)
            }
        }
    }

    /// A text with every identifier in it that has a new name replaced. Identifiers are a prefix, `_` and 26 letters and digits.
    static func renaming(_ text: String, by renames: [String: String]) -> String {
        var bytes = Array(text.utf8)
        var place = 0
        var isChanged = false
        while let line = bytes[place...].firstIndex(of: UInt8(ascii: "_")) {
            place = line + 1
            let end = line + 1 + identifierDigits
            guard end <= bytes.count else { break }
            for length in identifierPrefixLengths where length <= line {
                guard let fresh = renames[String(decoding: bytes[(line - length)..<end], as: UTF8.self)] else { continue }
                bytes.replaceSubrange((line - length)..<end, with: fresh.utf8)
                place = line - length + fresh.utf8.count
                isChanged = true
                break
            }
        }
        return isChanged ? String(decoding: bytes, as: UTF8.self) : text
    }

    /// Letters of the prefixes, and digits after them.
    private static let identifierPrefixLengths = 2...4
    private static let identifierDigits = 26
}
