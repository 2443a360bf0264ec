/// Why an `if` expression cannot be read.
public struct ConditionProblem: Error, Sendable, Hashable {
    /// One sentence for people, with the place in the expression.
    public var detail: String
}

/// A recursive-descent reader of `if` expressions.
struct ConditionParser {
    private enum Token: Hashable {
        /// A word or a dotted path.
        case word(String)
        case number(Double)
        case text(String)
        case comparison(Condition.Comparison)
        case open
        case close
    }

    private var tokens: [(token: Token, column: Int)] = []
    private var index = 0
    private var depth = 0
    private let length: Int

    init(_ text: String) throws(ConditionProblem) {
        guard text.utf8.count <= SpecLimits.conditionBytesMax else {
            throw ConditionProblem(detail: "an 'if' of more than \(SpecLimits.conditionBytesMax) bytes")
        }
        let bytes = Array(text.utf8)
        length = bytes.count
        var offset = 0
        while offset < bytes.count {
            if bytes[offset] == 0x20 || bytes[offset] == 0x09 || bytes[offset] == 0x0A || bytes[offset] == 0x0D { offset += 1; continue }
            let start = offset
            tokens.append((try Self.token(in: bytes, at: &offset), start + 1))
        }
    }

    mutating func parse() throws(ConditionProblem) -> Condition.Expression {
        guard !tokens.isEmpty else { throw ConditionProblem(detail: "an empty 'if'") }
        let expression = try disjunction()
        guard index == tokens.count else { throw failure("expected 'and', 'or' or the end") }
        return expression
    }

    private func failure(_ message: String) -> ConditionProblem {
        let column = index < tokens.count ? tokens[index].column : length + 1
        return ConditionProblem(detail: "\(message) at column \(column) of the 'if' expression")
    }

    private var current: Token? { index < tokens.count ? tokens[index].token : nil }

    private mutating func take(_ token: Token) -> Bool {
        guard current == token else { return false }
        index += 1
        return true
    }

    private mutating func disjunction() throws(ConditionProblem) -> Condition.Expression {
        var left = try conjunction()
        while take(.word("or")) { left = .or(left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws(ConditionProblem) -> Condition.Expression {
        var left = try negation()
        while take(.word("and")) { left = .and(left, try negation()) }
        return left
    }

    private mutating func negation() throws(ConditionProblem) -> Condition.Expression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= SpecLimits.conditionDepthMax else { throw failure("more than \(SpecLimits.conditionDepthMax) levels of nesting") }
        if take(.word("not")) { return .not(try negation()) }
        if take(.open) {
            let inner = try disjunction()
            guard take(.close) else { throw failure("expected ')'") }
            return inner
        }
        return try primary()
    }

    private mutating func primary() throws(ConditionProblem) -> Condition.Expression {
        if case .word(let word)? = current, !word.utf8.contains(UInt8(ascii: ".")) {
            switch word {
            case "true", "false":
                index += 1
                return .literal(word == "true")
            case "always", "success", "failure":
                index += 1
                guard take(.open), take(.close) else { throw failure("expected '()' after '\(word)'") }
                return word == "always" ? .always : word == "success" ? .success : .failure
            default:
                let words = ["true", "false", "always", "success", "failure", "and", "or", "not"]
                let hint = Spelling.suggestion(for: word, among: words)
                throw failure("'\(word)' means nothing here\(hint); write 'job.state', 'job.metric', a number or a quoted text")
            }
        }
        let left = try operand()
        guard case .comparison(let comparison)? = current else { throw failure("expected a comparison such as '==' or '>='") }
        index += 1
        return .comparison(left, comparison, try operand())
    }

    private mutating func operand() throws(ConditionProblem) -> Condition.Operand {
        switch current {
        case .number(let number): index += 1; return .number(number)
        case .text(let text): index += 1; return .text(text)
        case .word(let word):
            guard let dot = word.firstIndex(of: "."), dot > word.startIndex, word.index(after: dot) < word.endIndex else {
                throw failure("expected 'job.state' or 'job.metric', not '\(word)' (texts stand in quotes)")
            }
            index += 1
            let job = String(word[..<dot])
            let path = String(word[word.index(after: dot)...])
            return path == "state" ? .state(job: job) : .value(job: job, path: path)
        default: throw failure("expected 'job.state', 'job.metric', a number or a quoted text")
        }
    }

    private static func token(in bytes: [UInt8], at offset: inout Int) throws(ConditionProblem) -> Token {
        let byte = bytes[offset]
        switch byte {
        case UInt8(ascii: "("): offset += 1; return .open
        case UInt8(ascii: ")"): offset += 1; return .close
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            let inner = bytes[(offset + 1)...].prefix { $0 != byte }
            guard inner.endIndex < bytes.count else {
                throw ConditionProblem(detail: "a quoted text without its end at column \(offset + 1) of the 'if' expression")
            }
            offset = inner.endIndex + 1
            return .text(String(decoding: inner, as: UTF8.self))
        default: break
        }
        // The two-letter comparisons stand first in the list.
        for comparison in Condition.Comparison.allCases where bytes[offset...].starts(with: comparison.rawValue.utf8) {
            offset += comparison.rawValue.utf8.count
            return .comparison(comparison)
        }
        let word = bytes[offset...].prefix(while: isWordByte)
        guard !word.isEmpty else {
            let character = String(decoding: bytes[offset...], as: UTF8.self).first.map(String.init) ?? ""
            throw ConditionProblem(detail: "'\(character)' cannot stand at column \(offset + 1) of the 'if' expression")
        }
        let start = offset
        offset = word.endIndex
        let text = String(decoding: word, as: UTF8.self)
        guard let first = text.utf8.first, !(0x61...0x7A).contains(first | 0x20) else { return .word(text) }
        switch YAMLScalar.resolve(text) {
        case .int(let number): return .number(Double(number))
        case .double(let number) where number.isFinite: return .number(number)
        default: throw ConditionProblem(detail: "'\(text)' at column \(start + 1) of the 'if' expression is neither a number nor a name")
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "@"), UInt8(ascii: "/"): true
        default: false
        }
    }
}
