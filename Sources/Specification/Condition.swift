import Domain
import JSON

/// When a job runs: the meaning of its `if`.
///
///     expression := or ; or := and ("or" and)* ; and := not ("and" not)* ; not := "not" not | primary
///     primary    := "(" expression ")" | "true" | "false" | always() | success() | failure()
///                 | operand (== | != | < | <= | > | >=) operand
///     operand    := job.state | job.<metric or summary path> | number | "text" | 'text'
///
/// A comparison with a value that does not exist is false. Where the expression speaks neither of `always()`, `success()`,
/// `failure()` nor of a job's state, the job runs only if all its needs have succeeded as well.
public struct Condition: Sendable, Hashable {
    /// What a name before the dot stands for.
    public enum Operand: Sendable, Hashable {
        case state(job: String)
        /// A value of the job's summary or the last value of one of its metrics.
        case value(job: String, path: String)
        case number(Double)
        case text(String)
    }

    /// How two operands are compared.
    public enum Comparison: String, Sendable, CaseIterable {
        case equal = "=="
        case notEqual = "!="
        case atMost = "<="
        case atLeast = ">="
        case below = "<"
        case above = ">"
    }

    /// The expression as a tree.
    public indirect enum Expression: Sendable, Hashable {
        case literal(Bool)
        case success
        case failure
        case always
        case comparison(Operand, Comparison, Operand)
        case not(Expression)
        case and(Expression, Expression)
        case or(Expression, Expression)
    }

    public var expression: Expression

    /// Reads an expression.
    public init(_ text: String) throws(ConditionProblem) {
        var parser = try ConditionParser(text)
        expression = try parser.parse()
    }

    init(expression: Expression) { self.expression = expression }

    /// The jobs that the expression names, each once, in order.
    public var jobs: [String] {
        var names: [String] = []
        forEachOperand { operand in
            switch operand {
            case .state(let job), .value(let job, _): if !names.contains(job) { names.append(job) }
            case .number, .text: break
            }
        }
        return names
    }

    /// True where the job may run although one of its needs has not succeeded, so that it must wait for all of them to end.
    public var runsAfterFailure: Bool { Self.speaksOfOutcome(expression) }

    /// Whether the job runs, once all its needs have ended.
    ///
    /// - Parameters:
    ///   - needs: the final states of all needs.
    ///   - state: the state of a job by its name.
    ///   - value: a job's summary value or metric by its path; `nil` where it has none.
    public func evaluate(
        needs: [JobState], state: @escaping (String) -> JobState?, value: @escaping (_ job: String, _ path: String) -> JSONValue?
    ) -> Bool {
        let facts = Facts(success: needs.allSatisfy { $0 == .succeeded }, state: state, value: value)
        if !runsAfterFailure, !facts.success { return false }
        return facts.holds(expression)
    }

    /// Whether a job without `if` runs: when all its needs have succeeded.
    public static func runsByDefault(needs: [JobState]) -> Bool { needs.allSatisfy { $0 == .succeeded } }

    private static func speaksOfOutcome(_ expression: Expression) -> Bool {
        switch expression {
        case .literal: false
        case .success, .failure, .always: true
        case .comparison(let left, _, let right): isState(left) || isState(right)
        case .not(let inner): speaksOfOutcome(inner)
        case .and(let left, let right), .or(let left, let right): speaksOfOutcome(left) || speaksOfOutcome(right)
        }
    }

    private static func isState(_ operand: Operand) -> Bool {
        if case .state = operand { true } else { false }
    }

    private func forEachOperand(_ body: (Operand) -> Void) {
        forEachComparison { left, _, right in
            body(left)
            body(right)
        }
    }

    func forEachComparison(_ body: (Operand, Comparison, Operand) -> Void) {
        func visit(_ expression: Expression) {
            switch expression {
            case .literal, .success, .failure, .always: break
            case .comparison(let left, let comparison, let right): body(left, comparison, right)
            case .not(let inner): visit(inner)
            case .and(let left, let right), .or(let left, let right): visit(left); visit(right)
            }
        }
        visit(expression)
    }

    /// The condition with each job's name replaced.
    func renamingJobs(_ name: (String) -> String) -> Condition {
        func rename(_ operand: Operand) -> Operand {
            switch operand {
            case .state(let job): .state(job: name(job))
            case .value(let job, let path): .value(job: name(job), path: path)
            case .number, .text: operand
            }
        }
        func rename(_ expression: Expression) -> Expression {
            switch expression {
            case .literal, .success, .failure, .always: expression
            case .comparison(let left, let comparison, let right): .comparison(rename(left), comparison, rename(right))
            case .not(let inner): .not(rename(inner))
            case .and(let left, let right): .and(rename(left), rename(right))
            case .or(let left, let right): .or(rename(left), rename(right))
            }
        }
        return Condition(expression: rename(expression))
    }
}

/// What is known when a condition is judged.
private struct Facts {
    let success: Bool
    let state: (String) -> JobState?
    let value: (String, String) -> JSONValue?

    func holds(_ expression: Condition.Expression) -> Bool {
        switch expression {
        case .literal(let value): value
        case .always: true
        case .success: success
        case .failure: !success
        case .not(let inner): !holds(inner)
        case .and(let left, let right): holds(left) && holds(right)
        case .or(let left, let right): holds(left) || holds(right)
        case .comparison(let left, let comparison, let right): holds(left, comparison, right)
        }
    }

    private func holds(_ left: Condition.Operand, _ comparison: Condition.Comparison, _ right: Condition.Operand) -> Bool {
        guard let left = known(left), let right = known(right) else { return false }
        if let left = left.double, let right = right.double { return Self.holds(left, comparison, right) }
        guard let left = Self.text(left), let right = Self.text(right) else { return comparison == .notEqual }
        return Self.holds(left, comparison, right)
    }

    private func known(_ operand: Condition.Operand) -> JSONValue? {
        switch operand {
        case .state(let job): state(job).map { .string($0.rawValue) }
        case .value(let job, let path): value(job, path)
        case .number(let number): .double(number)
        case .text(let text): .string(text)
        }
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .bool(let flag): flag ? "true" : "false"
        default: nil
        }
    }

    private static func holds<Value: Comparable>(_ left: Value, _ comparison: Condition.Comparison, _ right: Value) -> Bool {
        switch comparison {
        case .equal: left == right
        case .notEqual: left != right
        case .below: left < right
        case .atMost: left <= right
        case .above: left > right
        case .atLeast: left >= right
        }
    }
}

extension Condition: CustomStringConvertible {
    /// The expression as text that is read back to an equal condition.
    public var description: String { Self.text(of: expression, within: 0) }

    /// `level`: 0 inside nothing, 1 inside `or`, 2 inside `and`, 3 inside `not`.
    private static func text(of expression: Expression, within level: Int) -> String {
        func wrapped(_ text: String, _ own: Int) -> String { own < level ? "(\(text))" : text }
        switch expression {
        case .literal(let value): return value ? "true" : "false"
        case .always: return "always()"
        case .success: return "success()"
        case .failure: return "failure()"
        case .comparison(let left, let comparison, let right):
            return "\(text(of: left)) \(comparison.rawValue) \(text(of: right))"
        case .not(let inner): return "not \(text(of: inner, within: 3))"
        case .and(let left, let right): return wrapped("\(text(of: left, within: 2)) and \(text(of: right, within: 3))", 2)
        case .or(let left, let right): return wrapped("\(text(of: left, within: 1)) or \(text(of: right, within: 2))", 1)
        }
    }

    private static func text(of operand: Operand) -> String {
        switch operand {
        case .state(let job): "\(job).state"
        case .value(let job, let path): "\(job).\(path)"
        case .number(let number): Int64(exactly: number).map { String($0) } ?? number.description
        // The grammar has no escapes, so a text contains at most one sort of quotes.
        case .text(let text): text.contains("\"") ? "'\(text)'" : "\"\(text)\""
        }
    }
}
