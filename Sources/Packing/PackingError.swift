/// Why sequences cannot be packed, or a plan cannot be read.
public struct PackingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of fault it is.
    public struct Code: Sendable, Hashable {
        private enum Value { case badRequest, badData }
        private let value: Value
        /// What was asked for cannot be done, whatever the lengths are.
        public static let badRequest = Code(value: .badRequest)
        /// The lengths do not allow what was asked for, or a file is not what it should be.
        public static let badData = Code(value: .badData)
    }

    public var code: Code
    public var message: String
    /// The record to blame, counted from 0.
    public var record: Int?
    /// The line of the file to blame, counted from 1.
    public var line: Int?

    public init(_ code: Code, _ message: String, record: Int? = nil, line: Int? = nil) {
        self.code = code
        self.message = message
        self.record = record
        self.line = line
    }

    public var description: String { line.map { "line \($0): \(message)" } ?? message }
}
