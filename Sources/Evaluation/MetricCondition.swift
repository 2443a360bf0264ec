/// A condition on a metric, such as `>= baseline + 0.02`, or by significance `> baseline at 95%` and `not < baseline at 95%`.
///
/// Without `at` the measured value itself is held against the limit. With `at N%` the condition must hold in the whole N % confidence
/// interval of the metric, so that a lucky draw of items does not meet it; `not` turns the result round, so that
/// `not < baseline at 95%` is missed only by what is worse beyond chance.
public struct MetricCondition: Sendable, Equatable, CustomStringConvertible {
    /// How a metric is compared with its limit.
    public enum Comparison: String, Sendable, CaseIterable {
        case atLeast = ">="
        case above = ">"
        case atMost = "<="
        case below = "<"
        case equal = "=="
    }

    /// What a metric is compared with: a number, or the baseline and a change of it.
    public enum Limit: Sendable, Equatable {
        case number(Double)
        /// The baseline's value, changed by an operator and a number.
        case baseline(operation: Character, operand: Double)
    }

    /// Why a text is no condition.
    public struct SyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// Distances below this are taken for rounding errors.
    private static let tolerance = 1e-9

    public var comparison: Comparison
    public var limit: Limit
    /// Whether the condition is met where what it says is not so.
    public var isNegated: Bool
    /// The share of the confidence interval in which the comparison must hold; `nil` where only the measured value counts.
    public var confidence: Double?
    /// The text it was read from.
    public var description: String

    /// Whether the condition needs an evaluation to compare with.
    public var usesBaseline: Bool { if case .baseline = limit { true } else { false } }

    /// The baseline is multiplied by `factor` before `offset` is added; a plain number is an offset alone.
    var line: (factor: Double, offset: Double) {
        switch limit {
        case .number(let number): (0, number)
        case .baseline("-", let operand): (1, -operand)
        case .baseline("*", let operand): (operand, 0)
        case .baseline(_, let operand): (1, operand)
        }
    }

    /// Reads `[not] OP EXPR [at N%]`: OP is one of `>= > <= < ==`, EXPR a NUMBER, `baseline` or `baseline +|-|* NUMBER`.
    public init(_ text: String) throws(SyntaxError) {
        func wrong(_ detail: String) -> SyntaxError {
            SyntaxError(
                description: "'\(text)' is no condition: \(detail); write, for example, '>= 0.9', '>= baseline + 0.02' or "
                    + "'not < baseline at 95%'")
        }
        description = AnswerText.trimmed(text)
        var condition = description
        isNegated = condition.hasPrefix("not ")
        if isNegated { condition = AnswerText.trimmed(String(condition.dropFirst(4))) }
        guard
            let comparison = Comparison.allCases.sorted(by: { $0.rawValue.count > $1.rawValue.count })
                .first(where: { condition.hasPrefix($0.rawValue) })
        else { throw wrong("it must start with >=, >, <=, < or ==") }
        self.comparison = comparison
        var expression = AnswerText.trimmed(String(condition.dropFirst(comparison.rawValue.count)))
        confidence = nil
        if let at = expression.range(ofLast: " at ") {
            let level = AnswerText.trimmed(String(expression[at.upperBound...]))
            guard level.hasSuffix("%"), let percent = Self.number(String(level.dropLast())), percent >= 50, percent < 100 else {
                throw wrong("after 'at' stands a level from 50% to below 100%")
            }
            guard comparison != .equal else { throw wrong("'==' holds in no interval") }
            confidence = percent / 100
            expression = AnswerText.trimmed(String(expression[..<at.lowerBound]))
        }
        guard expression.hasPrefix("baseline") else {
            guard let number = Self.number(expression) else { throw wrong("'\(expression)' is neither a number nor 'baseline'") }
            limit = .number(number)
            return
        }
        let rest = AnswerText.trimmed(String(expression.dropFirst("baseline".count)))
        guard let operation = rest.first else {
            limit = .baseline(operation: "+", operand: 0)
            return
        }
        guard ["+", "-", "*"].contains(operation) else { throw wrong("after 'baseline' may stand +, - or * and a number") }
        let operandText = AnswerText.trimmed(String(rest.dropFirst()))
        guard let operand = Self.number(operandText) else { throw wrong("'\(operandText)' is no number") }
        limit = .baseline(operation: operation, operand: operand)
    }

    private static func number(_ text: String) -> Double? { Double(text).flatMap { $0.isFinite ? $0 : nil } }

    /// The number that the metric is held against; `nil` where it needs a baseline and there is none.
    public func limit(baseline: Double?) -> Double? {
        guard usesBaseline else { return line.offset }
        return baseline.map { $0 * line.factor + line.offset }
    }

    /// Whether `value` meets the condition; equal within a rounding error counts as equal.
    public func isMet(by value: Double, limit: Double) -> Bool {
        guard !value.isNaN else { return false }
        return holds(for: value, limit) != isNegated
    }

    /// Whether the condition is met by a metric that lies in `interval`.
    func isMet(in interval: ClosedRange<Double>, limit: Double) -> Bool {
        (holds(for: interval.lowerBound, limit) && holds(for: interval.upperBound, limit)) != isNegated
    }

    private func holds(for value: Double, _ limit: Double) -> Bool {
        let isEqual = abs(value - limit) <= Self.tolerance * max(1, abs(limit))
        return switch comparison {
        case .atLeast: value > limit || isEqual
        case .above: value > limit && !isEqual
        case .atMost: value < limit || isEqual
        case .below: value < limit && !isEqual
        case .equal: isEqual
        }
    }
}

extension String {
    /// Where `part` stands for the last time.
    fileprivate func range(ofLast part: String) -> Range<String.Index>? {
        var found: Range<String.Index>?
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(part) { found = index..<self.index(index, offsetBy: part.count) }
            index = self.index(after: index)
        }
        return found
    }
}
