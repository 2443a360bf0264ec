import Glibc

/// Why an attempt could not be started, watched or told something.
public struct SupervisionError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of failure it is; further kinds may come.
    public struct Code: RawRepresentable, Sendable, Hashable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The attempt's folder belongs to an attempt that was started before.
        public static let alreadyUsed = Code(rawValue: "already_used")
        /// A file of the attempt's folder could not be written or read; `errorNumber` says why (ENOSPC: the disk is full).
        public static let folder = Code(rawValue: "folder")
        /// `anneal-shim` could not be started.
        public static let spawn = Code(rawValue: "spawn")
        /// The shim cannot be reached. The worker may run all the same.
        public static let unreachable = Code(rawValue: "unreachable")
        /// The shim answered that it will not do this.
        public static let refused = Code(rawValue: "refused")
    }

    public var code: Code
    /// As errno(3) has it; 0 where no system call failed.
    public var errorNumber: Int32
    public var message: String

    public init(_ code: Code, errorNumber: Int32 = 0, message: String) {
        self.code = code
        self.errorNumber = errorNumber
        self.message = message
    }

    public var description: String { message }

    /// A failed system call, told by its errno.
    static func system(_ code: Code, _ what: String, errorNumber: Int32 = errno) -> SupervisionError {
        SupervisionError(code, errorNumber: errorNumber, message: "cannot \(what): \(describe(errorNumber))")
    }
}

/// The text of an errno value, such as "No such file or directory".
func describe(_ errorNumber: Int32) -> String {
    guard let text = strerror(errorNumber) else { return "error \(errorNumber)" }
    return String(cString: text)
}
