import JSON

/// One thing that is wrong with a spec document, and where.
public struct SpecError: Error, Sendable, Hashable {
    /// What sort of mistake it is; clients compare it.
    public enum Code: String, Sendable, CaseIterable {
        /// The text is neither JSON nor YAML that Anneal reads.
        case syntax
        case duplicateKey = "duplicate_key"
        case unknownKey = "unknown_key"
        case required
        case wrongType = "wrong_type"
        case outOfRange = "out_of_range"
        case badValue = "bad_value"
        case unknownName = "unknown_name"
        case unknownReference = "unknown_reference"
        case cycle
        /// Known, but not in this build.
        case unsupported
        case missingFile = "missing_file"
        /// Two settings that cannot stand together.
        case conflict
        case tooLarge = "too_large"
        /// A file that specs may not name.
        case notAllowed = "not_allowed"
    }

    /// The place in the document; for `--set`, the place that the override names.
    public var pointer: JSONPointer
    /// The line in the document's text, from 1; `nil` where the place has none.
    public var line: Int?
    /// The column in Unicode scalars, from 1.
    public var column: Int?
    /// One sentence for people, without the place.
    public var detail: String
    public var code: Code

    /// Creates an error at `pointer`; positions are filled in by the document.
    public init(pointer: JSONPointer, line: Int? = nil, column: Int? = nil, detail: String, code: Code) {
        self.pointer = pointer
        self.line = line
        self.column = column
        self.detail = detail
        self.code = code
    }
}

extension SpecError: CustomStringConvertible {
    /// Such as `line 4, column 7: /jobs/sft/epochs: unknown key 'epochs'`.
    public var description: String {
        var parts: [String] = []
        if let line { parts.append("line \(line)" + (column.map { ", column \($0)" } ?? "")) }
        if !pointer.tokens.isEmpty { parts.append(pointer.description) }
        return (parts + [detail]).joined(separator: ": ")
    }
}

/// All that is wrong with a spec document, in the order of the document.
public struct SpecErrors: Error, Sendable, Hashable, CustomStringConvertible {
    /// At least one and at most `SpecLimits.errorsMax` errors.
    public var errors: [SpecError]
    /// How many more there are.
    public var leftOut: Int

    /// Creates the list of `errors`.
    public init(_ errors: [SpecError], leftOut: Int = 0) {
        self.errors = errors
        self.leftOut = leftOut
    }

    /// One line an error.
    public var description: String {
        let lines = errors.map(\.description) + (leftOut > 0 ? ["… and \(leftOut) more"] : [])
        return lines.joined(separator: "\n")
    }
}
