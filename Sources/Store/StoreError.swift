import Domain
import GRDB
import Glibc

/// Why the store refused or failed.
public struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it is; callers compare it.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Name: String {
            case busy, closed, diskFull, inputOutput, conflict, constraint, illegalTransition, notFound, corrupt, schema, database
        }
        private let name: Name
        private init(_ name: Name) { self.name = name }
        /// The code's name.
        public var description: String { name.rawValue }

        /// The queue is full; the same call may succeed later.
        public static let busy = Code(.busy)
        /// The store was closed.
        public static let closed = Code(.closed)
        /// No room for the change; nothing of it is kept, and writes work again once there is room.
        public static let diskFull = Code(.diskFull)
        /// The file system refused for another reason than room.
        public static let inputOutput = Code(.inputOutput)
        /// Something that must be unique exists already, or the row is not in a state that allows the change.
        public static let conflict = Code(.conflict)
        /// A value that the schema does not allow.
        public static let constraint = Code(.constraint)
        /// A transition that the state machine does not have.
        public static let illegalTransition = Code(.illegalTransition)
        /// No such row.
        public static let notFound = Code(.notFound)
        /// The file is damaged or no database of Anneal.
        public static let corrupt = Code(.corrupt)
        /// The file's schema is newer than this program or not the one it was made with.
        public static let schema = Code(.schema)
        /// Any other failure of SQLite.
        public static let database = Code(.database)
    }

    public let code: Code
    /// One sentence for a log or an answer; never the values of a statement.
    public let message: String

    /// An error with its sentence.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The code and the sentence.
    public var description: String { "\(code): \(message)" }

    /// The store's form of an error that a transaction met; errors of callers' own code pass through as they are.
    static func mapping(_ error: any Error, folder: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let detail = error.message ?? error.resultCode.description
        switch error.resultCode {
        case .SQLITE_FULL:
            return StoreError(.diskFull, "the disk that holds \(folder) is full; the change was not made")
        case .SQLITE_IOERR, .SQLITE_CANTOPEN:
            // Where shared memory cannot grow SQLite reports an I/O error and not SQLITE_FULL.
            if isFull(folder) { return StoreError(.diskFull, "the disk that holds \(folder) is full; the change was not made") }
            return StoreError(.inputOutput, "SQLite could not read or write in \(folder): \(detail) (\(error.extendedResultCode.rawValue))")
        case .SQLITE_CONSTRAINT where [.SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY].contains(error.extendedResultCode):
            return StoreError(.conflict, detail)
        case .SQLITE_CONSTRAINT:
            return StoreError(.constraint, detail)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return StoreError(.corrupt, "the database in \(folder) is damaged: \(detail)")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return StoreError(.busy, "another program holds the database's lock: \(detail)")
        default:
            return StoreError(.database, "\(detail) (\(error.extendedResultCode.rawValue))")
        }
    }

    private static func isFull(_ folder: String) -> Bool {
        var facts = statvfs()
        guard statvfs(folder, &facts) == 0 else { return false }
        return UInt64(facts.f_bavail) * UInt64(facts.f_frsize) < 1 << 20
    }
}
