/// A condition on one metric of an evaluation, such as `>= 0.5`, `>= baseline + 0.02` or `not < baseline at 95%`.
public struct GateCondition: Sendable, Hashable {
    /// How the measured value is compared with the limit.
    public enum Comparison: String, Sendable, CaseIterable {
        case atLeast = ">="
        case above = ">"
        case atMost = "<="
        case below = "<"
        case equal = "=="
    }

    /// What the value is compared with.
    public enum Limit: Sendable, Hashable {
        case number(Double)
        /// The baseline's value of the same metric, times `factor`, plus `offset`.
        case baseline(factor: Double, offset: Double)
    }

    public var comparison: Comparison
    public var limit: Limit
    /// True where the condition holds when what it says is not so.
    public var isNegated: Bool
    /// The confidence at which it must hold, such as 0.95; `nil` where only the measured value counts.
    public var confidence: Double?

    /// Reads `[not] OP EXPR [at N%]`: OP is one of `>= > <= < ==`, EXPR a number, `baseline`, or `baseline + n`, `- n`, `* n`, and N from 50
    /// to below 100; `nil` for anything else.
    public init?(_ text: String) {
        var trimmed = text.trimmingSpaces()
        isNegated = trimmed.hasPrefix("not ")
        if isNegated { trimmed = trimmed.dropFirst(4).trimmingSpaces() }
        guard let comparison = Comparison.allCases.first(where: { trimmed.hasPrefix($0.rawValue) }) else { return nil }
        self.comparison = comparison
        var expression = trimmed.dropFirst(comparison.rawValue.count).trimmingSpaces()
        if expression.hasSuffix("%") {
            let words = expression.dropLast().split(separator: " ")
            guard comparison != .equal, words.count >= 3, words[words.count - 2] == "at", let level = words.last,
                let percent = Self.number(String(level)), percent >= 50, percent < 100
            else { return nil }
            confidence = percent / 100
            expression = words.dropLast(2).joined(separator: " ")
        }
        if let number = Self.number(expression) { limit = .number(number); return }
        guard expression.hasPrefix("baseline") else { return nil }
        let rest = expression.dropFirst("baseline".count).trimmingSpaces()
        guard let sign = rest.first else { limit = .baseline(factor: 1, offset: 0); return }
        guard let number = Self.number(rest.dropFirst().trimmingSpaces()) else { return nil }
        switch sign {
        case "+": limit = .baseline(factor: 1, offset: number)
        case "-": limit = .baseline(factor: 1, offset: -number)
        case "*": limit = .baseline(factor: number, offset: 0)
        default: return nil
        }
    }

    /// True where the condition needs a baseline to be judged.
    public var needsBaseline: Bool {
        if case .baseline = limit { true } else { false }
    }

    private static func number(_ text: String) -> Double? {
        switch YAMLScalar.resolve(text) {
        case .int(let value): Double(value)
        case .double(let value) where value.isFinite: value
        default: nil
        }
    }
}
