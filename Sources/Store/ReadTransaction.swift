import Domain
import GRDB

/// Questions to one consistent state of the database. Valid only inside the closure that it was handed to.
public class ReadTransaction {
    let database: Database
    let limits: StoreLimits

    init(_ database: Database, limits: StoreLimits) {
        self.database = database
        self.limits = limits
    }

    /// All rows of a query, each turned into a value while SQLite stands on it.
    func rows<T>(_ sql: String, _ arguments: [(any DatabaseValueConvertible)?] = [], _ make: (inout ColumnReader) throws -> T) throws -> [T]
    {
        let cursor = try Row.fetchCursor(try database.cachedStatement(sql: sql), arguments: StatementArguments(arguments))
        var values: [T] = []
        while let row = try cursor.next() {
            var reader = ColumnReader(row)
            values.append(try make(&reader))
        }
        return values
    }

    /// The first row of a query.
    func row<T>(_ sql: String, _ arguments: [(any DatabaseValueConvertible)?] = [], _ make: (inout ColumnReader) throws -> T) throws -> T? {
        let cursor = try Row.fetchCursor(try database.cachedStatement(sql: sql), arguments: StatementArguments(arguments))
        guard let row = try cursor.next() else { return nil }
        var reader = ColumnReader(row)
        let value = try make(&reader)
        // An UPDATE … RETURNING takes effect only once the statement has run to its end.
        while try cursor.next() != nil {}
        return value
    }

    /// One page of a list: a row more than asked tells whether there is a next page.
    func page<T>(_ sql: String, _ arguments: [(any DatabaseValueConvertible)?], limit: Int, _ make: (inout ColumnReader) throws -> T) throws
        -> Page<T>
    {
        let limit = max(1, min(limit, limits.pageRowsMax))
        var items = try rows(sql + " LIMIT ?", arguments + [limit + 1], make)
        let hasMore = items.count > limit
        if hasMore { items.removeLast() }
        return Page(items: items, hasMore: hasMore)
    }
}

/// A part of a list.
public struct Page<Item: Sendable>: Sendable {
    public var items: [Item]
    /// Whether more follow the last item.
    public var hasMore: Bool

    /// A page with its items.
    public init(items: [Item], hasMore: Bool) {
        self.items = items
        self.hasMore = hasMore
    }
}

/// The conditions of a query, joined by AND.
struct Conditions {
    private var clauses: [String] = []
    private(set) var arguments: [(any DatabaseValueConvertible)?] = []

    mutating func add(_ clause: String, _ values: (any DatabaseValueConvertible)?...) {
        clauses.append(clause)
        arguments += values
    }

    /// Adds a clause with as many values as it has marks.
    mutating func add(_ clause: String, list values: [(any DatabaseValueConvertible)?]) {
        clauses.append(clause)
        arguments += values
    }

    /// Adds `column = value`, unless there is no value to compare with.
    mutating func add(_ column: String, equals value: (any DatabaseValueConvertible)?) {
        if let value { add("\(column) = ?", value) }
    }

    /// Adds a choice of values; `nil` allows all.
    mutating func add(_ column: String, in values: [String]?) {
        guard let values else { return }
        clauses.append("\(column) IN (\(values.map { _ in "?" }.joined(separator: ", ")))")
        arguments += values
    }

    /// The WHERE clause, with a space before it; empty without conditions.
    var sql: String { clauses.isEmpty ? "" : " WHERE " + clauses.joined(separator: " AND ") }
}
