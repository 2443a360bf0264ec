import JSON
import Yams

/// Puts what Yams reports into words that help.
enum YAMLProblem {
    /// The error of a document, with its place.
    static func specError(for error: YamlError, in text: String) -> SpecError {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            if isTab(at: mark, in: text) {
                return YAMLReader.syntax(mark, "a tab in the indentation; YAML allows only spaces there")
            }
            return YAMLReader.syntax(mark, "not valid YAML: \(problem)")
        case .composer(_, let problem, let mark, _):
            if problem.contains("another document") {
                return YAMLReader.syntax(mark, "a second YAML document starts here; a spec is one document")
            }
            return YAMLReader.syntax(mark, "not valid YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map { "'\($0)'" }.joined(separator: ", ")
            return YAMLReader.syntax(context.mark, "the key \(names) stands twice in one mapping", code: .duplicateKey)
        case .reader(let problem, let offset, _, _):
            return reader(problem, offset: offset, in: text)
        default:
            return YAMLReader.syntax(nil, "the YAML cannot be read: \(error)")
        }
    }

    private static func reader(_ problem: String, offset: Int?, in text: String) -> SpecError {
        guard let offset else { return YAMLReader.syntax(nil, "not valid YAML: \(problem)") }
        let line = text.prefix(offset).count { $0.isNewline } + 1
        return SpecError(pointer: JSONPointer(), line: line, detail: "not valid YAML: \(problem)", code: .syntax)
    }

    /// True where nothing but white space with a tab in it stands before the place, or a tab stands at it.
    private static func isTab(at mark: Mark, in text: String) -> Bool {
        var lines = text.utf8.split(separator: UInt8(ascii: "\n"), maxSplits: mark.line, omittingEmptySubsequences: false)[...]
        lines = lines.dropFirst(mark.line - 1)
        guard let line = lines.first else { return false }
        return line.prefix { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.contains(UInt8(ascii: "\t"))
    }
}
