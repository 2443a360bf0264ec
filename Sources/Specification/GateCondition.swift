/// A condition on one metric of an evaluation, such as `>= 0.5` or `>= baseline + 0.02`.
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

    /// Reads `OP EXPR`: OP is one of `>= > <= < ==`, EXPR a number, `baseline`, or `baseline + n`, `- n`, `* n`; `nil` for anything else.
    public init?(_ text: String) {
        let trimmed = text.trimmingSpaces()
        guard let comparison = Comparison.allCases.first(where: { trimmed.hasPrefix($0.rawValue) }) else { return nil }
        self.comparison = comparison
        let expression = trimmed.dropFirst(comparison.rawValue.count).trimmingSpaces()
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
