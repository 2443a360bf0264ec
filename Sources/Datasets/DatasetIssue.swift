/// One thing that is wrong in a data file.
public struct DatasetIssue: Sendable, Hashable, CustomStringConvertible {
    /// Counted from 1; the line on which the record starts.
    public var line: Int
    /// A JSON pointer into the record; empty where the record as a whole is meant.
    public var pointer: String
    public var detail: String

    public init(line: Int, pointer: String = "", detail: String) {
        self.line = line
        self.pointer = pointer
        self.detail = detail
    }

    public var description: String { "line \(line)\(pointer.isEmpty ? "" : ", \(pointer)"): \(detail)" }
}

/// Collects issues: the first ones in full, of all of them the number.
public struct DatasetIssueLog: Sendable {
    /// Issues kept with their text.
    public static let keptMax = 100

    public private(set) var first: [DatasetIssue] = []
    /// All issues seen.
    public private(set) var count = 0

    public init() {}

    /// Counts an issue; the first ones are kept.
    public mutating func add(_ issue: DatasetIssue) {
        count += 1
        if first.count < Self.keptMax { first.append(issue) }
    }
}

/// The source of a record and the step that could not take it.
struct RecordPlace: Sendable, Equatable {
    /// The number of the source's file.
    var file: UInt16
    /// Known once the error has left the step.
    var step: String?
}

/// Why a dataset cannot be read or made.
public struct DatasetError: Error, Sendable, CustomStringConvertible {
    /// What kind of fault it is.
    public struct Code: Sendable, Hashable {
        private enum Value { case badRequest, badData }
        private let value: Value
        /// What was asked for cannot be done, whatever the data are.
        public static let badRequest = Code(value: .badRequest)
        /// The data do not allow what was asked for.
        public static let badData = Code(value: .badData)
    }

    public var code: Code
    public var message: String
    /// The first issues, where single records are to blame.
    public var issues: [DatasetIssue]
    /// Where the one record that is to blame comes from, for errors of a step.
    var place: RecordPlace?

    public init(_ code: Code, _ message: String, issues: [DatasetIssue] = []) {
        self.code = code
        self.message = message
        self.issues = issues
    }

    public var description: String { message }
}
