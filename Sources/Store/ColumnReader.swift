import Curves
import Domain
import GRDB
import JSON

/// Reads the columns of a row from left to right, in the order in which the query names them.
struct ColumnReader {
    private let row: Row
    private var index = -1

    init(_ row: Row) { self.row = row }

    private mutating func next() -> Int {
        index += 1
        return index
    }

    mutating func text() -> String { row[next()] }
    mutating func optionalText() -> String? { row[next()] }
    mutating func integer() -> Int { row[next()] }
    mutating func optionalInteger() -> Int? { row[next()] }
    mutating func long() -> Int64 { row[next()] }
    mutating func optionalLong() -> Int64? { row[next()] }
    mutating func real() -> Double { row[next()] }
    mutating func optionalReal() -> Double? { row[next()] }
    mutating func flag() -> Bool { integer() != 0 }
    mutating func timestamp() -> Timestamp { Timestamp(milliseconds: long()) }
    mutating func optionalTimestamp() -> Timestamp? { optionalLong().map(Timestamp.init(milliseconds:)) }
    mutating func optionalReason() -> Reason? { optionalText().map(Reason.init(rawValue:)) }

    /// The bytes of a BLOB.
    mutating func bytes() throws -> [UInt8] {
        let index = next()
        return try row.withUnsafeData(atIndex: index) { data in data.map { Array($0) } ?? [] }
    }

    /// Reads the bytes of a BLOB in place; `nil` for NULL. What cannot be read of them is a damaged database.
    mutating func withBytes<T>(_ body: (UnsafeRawBufferPointer) throws -> T) throws -> T? {
        let index = next()
        do {
            return try row.withUnsafeData(atIndex: index) { data in try data.map { try $0.withUnsafeBytes(body) } }
        } catch let error as CurveCodingError {
            throw StoreError(.corrupt, "the database holds points that cannot be read: \(error)")
        }
    }

    /// Leaves a column out.
    mutating func skip() { _ = next() }

    mutating func json() throws -> JSONValue { try parsed(text()) }
    mutating func optionalJSON() throws -> JSONValue? { try optionalText().map(parsed) }

    /// A word of a closed set.
    mutating func word<Word: RawRepresentable<String>>(_: Word.Type = Word.self) throws -> Word {
        let text = text()
        guard let word = Word(rawValue: text) else { throw StoreError(.corrupt, "the database holds the unknown \(Word.self) '\(text)'") }
        return word
    }

    private func parsed(_ text: String) throws -> JSONValue {
        do {
            return try JSONParser.parse(text)
        } catch {
            throw StoreError(.corrupt, "the database holds a JSON text that cannot be read: \(error)")
        }
    }
}
