import CResources
import Domain
import Glibc
import JSON

/// Why a file of patterns cannot be used.
public struct CausePatternsError: Error, Sendable, CustomStringConvertible {
    public var description: String
}

/// Log lines that tell the cause of a failure: POSIX extended regular expressions by cause, from a data file that users can extend.
///
///     {"version": 1, "causes": [{"cause": "network", "hint": "is the proxy up?", "patterns": ["ProxyError", "^tunnel failed"]}]}
public struct CausePatterns: Sendable {
    /// A line that matched.
    public struct Match: Sendable, Equatable {
        public var cause: Reason
        public var line: String
        public var pattern: String
        public var hint: String?
    }

    private struct Rule: Sendable {
        var cause: Reason
        var hint: String?
        var patterns: [Expression]
    }

    /// The patterns that the program carries.
    public static let builtIn: CausePatterns = {
        let bytes = Array(UnsafeBufferPointer(start: cresources_causes, count: cresources_causes_length))
        do {
            return CausePatterns(rules: try parse(bytes, path: "causes.json"))
        } catch {
            // A test reads this file; it cannot be broken in a program that was released.
            preconditionFailure("\(error)")
        }
    }()

    private let rules: [Rule]

    /// These patterns with those of a user's file before them, so that the user's decide where both match a line.
    ///
    /// Throws `CausePatternsError` with the place of the first mistake.
    public func extended(by bytes: [UInt8], path: String) throws -> CausePatterns {
        CausePatterns(rules: try Self.parse(bytes, path: path) + rules)
    }

    private init(rules: [Rule]) { self.rules = rules }

    private static func parse(_ bytes: [UInt8], path: String) throws -> [Rule] {
        let document: JSONValue
        do {
            document = try JSONParser.parse(bytes)
        } catch {
            throw CausePatternsError(description: "\(path): not JSON: \(error)")
        }
        guard document["version"]?.int == 1, let entries = document["causes"]?.array else {
            throw CausePatternsError(description: "\(path): must be {\"version\": 1, \"causes\": [...]}")
        }
        return try entries.enumerated().map { index, entry in
            let place = "\(path): /causes/\(index)"
            guard let cause = entry["cause"]?.string, !cause.isEmpty, cause.utf8.allSatisfy({ (0x61...0x7A).contains($0) || $0 == 0x5F })
            else {
                throw CausePatternsError(description: "\(place)/cause: must be a word of lower-case letters and '_'")
            }
            guard let texts = entry["patterns"]?.array, !texts.isEmpty else {
                throw CausePatternsError(description: "\(place)/patterns: must be a list of regular expressions")
            }
            let patterns = try texts.enumerated().map { number, text in
                guard let pattern = text.string, !pattern.isEmpty else {
                    throw CausePatternsError(description: "\(place)/patterns/\(number): must be a text")
                }
                return try Expression(pattern, place: "\(place)/patterns/\(number)")
            }
            return Rule(cause: Reason(rawValue: cause), hint: entry["hint"]?.string, patterns: patterns)
        }
    }

    /// What a line tells; `nil` where nothing.
    public func match(_ line: String) -> Match? {
        for rule in rules {
            if let pattern = rule.patterns.first(where: { $0.matches(line) }) {
                return Match(cause: rule.cause, line: line, pattern: pattern.text, hint: rule.hint)
            }
        }
        return nil
    }
}

/// A compiled regular expression of regcomp(3).
///
/// `@unchecked Sendable`: regexec(3) only reads what regcomp made, and POSIX lets several threads do so at once.
private final class Expression: @unchecked Sendable {
    let text: String
    private var compiled = regex_t()

    init(_ text: String, place: String) throws {
        self.text = text
        let code = regcomp(&compiled, text, REG_EXTENDED | REG_NOSUB)
        guard code == 0 else {
            var message = [CChar](repeating: 0, count: 256)
            regerror(code, &compiled, &message, message.count)
            let words = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw CausePatternsError(description: "\(place): '\(text)' is no regular expression: \(words)")
        }
    }

    deinit { regfree(&compiled) }

    func matches(_ line: String) -> Bool { regexec(&compiled, line, 0, nil, 0) == 0 }
}
