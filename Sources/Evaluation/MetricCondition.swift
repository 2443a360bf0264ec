/// A condition on a metric, such as `>= baseline + 0.02`.
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
    /// The text it was read from.
    public var description: String

    /// Whether the condition needs an evaluation to compare with.
    public var usesBaseline: Bool { if case .baseline = limit { true } else { false } }

    /// Reads `OP NUMBER`, `OP baseline` or `OP baseline +|-|* NUMBER`, with OP one of `>= > <= < ==`.
    public init(_ text: String) throws(SyntaxError) {
        let condition = AnswerText.trimmed(text)
        func wrong(_ detail: String) -> SyntaxError {
            SyntaxError(description: "'\(text)' is no condition: \(detail); write, for example, '>= 0.9' or '>= baseline + 0.02'")
        }
        guard
            let comparison = Comparison.allCases.sorted(by: { $0.rawValue.count > $1.rawValue.count })
                .first(where: { condition.hasPrefix($0.rawValue) })
        else { throw wrong("it must start with >=, >, <=, < or ==") }
        self.comparison = comparison
        description = condition
        let expression = AnswerText.trimmed(String(condition.dropFirst(comparison.rawValue.count)))
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
        switch limit {
        case .number(let number): return number
        case .baseline(let operation, let operand):
            guard let baseline else { return nil }
            return switch operation {
            case "-": baseline - operand
            case "*": baseline * operand
            default: baseline + operand
            }
        }
    }

    /// Whether `value` meets the condition; equal within a rounding error counts as equal.
    public func isMet(by value: Double, limit: Double) -> Bool {
        guard !value.isNaN else { return false }
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
