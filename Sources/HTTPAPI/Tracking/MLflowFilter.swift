import Domain
import Service
import Store

/// The filter language of MLflow's searches: comparisons of metrics, params, tags and attributes, joined by AND
/// (mlflow/utils/search_utils.py).
struct MLflowFilter: Sendable {
    /// What a filter looks at.
    struct Subject {
        let value: (_ group: String, _ name: String) -> Value?

        init(run: TrackedRun) {
            value = { group, name in
                switch group {
                case "metrics": run.metrics.first { $0.key == name }.map { .number($0.lastValue) }
                case "params": run.params.first { $0.key == name }.map { .text($0.value) }
                case "tags": (name == "mlflow.runName" ? run.name : run.tags.first { $0.key == name }?.value).map { .text($0) }
                default: Self.attribute(of: run, name)
                }
            }
        }

        init(experiment: ExperimentRecord) {
            value = { group, name in
                switch (group, name) {
                case ("attributes", "name"): .text(experiment.name)
                case ("attributes", "experiment_id"): .text(experiment.id)
                case ("attributes", "creation_time"), ("attributes", "last_update_time"): .number(Double(experiment.createdAt.milliseconds))
                case ("tags", "anneal.project"): .text(experiment.project)
                default: nil
                }
            }
        }

        private static func attribute(of run: TrackedRun, _ name: String) -> Value? {
            switch name {
            case "status": .text(run.status)
            case "run_id": .text(run.id)
            case "run_name", "Run name", "run name": .text(run.name)
            case "user_id": .text(run.user)
            case "start_time", "Created", "created": run.startedAt.map { .number(Double($0.milliseconds)) }
            case "end_time": run.endedAt.map { .number(Double($0.milliseconds)) }
            default: nil
            }
        }
    }

    enum Value: Sendable, Equatable {
        case number(Double)
        case text(String)
    }

    private struct Comparison: Sendable {
        let group: String
        let name: String
        let sign: String
        let values: [Value]
    }

    private var comparisons: [Comparison] = []

    init(_ text: String) throws {
        var reader = MLflowFilterReader(text)
        while let token = try reader.next() {
            let (group, name) = try Self.identifier(token)
            guard case .word(var sign)? = try reader.next() else { throw Self.malformed(text) }
            sign = sign.uppercased()
            if sign == "NOT", case .word(let second)? = try reader.next() { sign = "NOT " + second.uppercased() }
            guard ["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN"].contains(sign) else { throw Self.malformed(text) }
            comparisons.append(
                Comparison(group: group, name: name, sign: sign, values: try Self.values(&reader, isList: sign.hasSuffix("IN"))))
            switch try reader.next() {
            case nil: return
            case .word(let word)? where word.uppercased() == "AND": continue
            default: throw Self.malformed(text)
            }
        }
        if !comparisons.isEmpty { throw Self.malformed(text) }
    }

    static func malformed(_ text: String) -> ServiceError {
        ServiceError(.badRequest, "Invalid clause(s) in filter string: '\(text)'; comparisons such as metrics.loss < 1 are joined by AND")
    }

    /// `metrics.loss`, ``params.`learning rate` ``, or an attribute without its group.
    static func identifier(_ token: MLflowFilterReader.Token) throws -> (group: String, name: String) {
        guard case .word(let text) = token else { throw malformed("\(token)") }
        let parts = text.split(separator: ".", maxSplits: 1).map(String.init)
        let groups = [
            "metric": "metrics", "metrics": "metrics", "param": "params", "params": "params", "parameter": "params", "parameters": "params",
            "tag": "tags", "tags": "tags", "attr": "attributes", "attribute": "attributes", "attributes": "attributes", "run": "attributes",
        ]
        if parts.count == 2, let group = groups[parts[0]] { return (group, parts[1]) }
        return ("attributes", text)
    }

    private static func values(_ reader: inout MLflowFilterReader, isList: Bool) throws -> [Value] {
        func value(_ token: MLflowFilterReader.Token?) throws -> Value {
            switch token {
            case .quoted(let text): return .text(text)
            case .word(let text):
                guard let number = Double(text) else { throw malformed(text) }
                return .number(number)
            default: throw malformed("\(String(describing: token))")
            }
        }
        guard isList else { return [try value(try reader.next())] }
        guard case .word("(")? = try reader.next() else { throw malformed("a list stands in parentheses") }
        var values: [Value] = []
        while true {
            values.append(try value(try reader.next()))
            switch try reader.next() {
            case .word(",")?: continue
            case .word(")")?: return values
            default: throw malformed("a list ends with a parenthesis")
            }
        }
    }

    func matches(_ subject: Subject) -> Bool {
        comparisons.allSatisfy { comparison in
            guard let value = subject.value(comparison.group, comparison.name) else { return false }
            return Self.compare(value, comparison.sign, comparison.values)
        }
    }

    private static func compare(_ value: Value, _ sign: String, _ others: [Value]) -> Bool {
        guard let other = others.first else { return false }
        switch (value, other, sign) {
        case (_, _, "IN"): return others.contains(value)
        case (_, _, "NOT IN"): return !others.contains(value)
        case (.number(let left), .number(let right), _): return order(left, sign, right)
        case (.text(let left), .text(let right), "LIKE"): return like(Array(left), Array(right))
        case (.text(let left), .text(let right), "ILIKE"): return like(Array(left.lowercased()), Array(right.lowercased()))
        case (.text(let left), .text(let right), _): return order(left, sign, right)
        default: return false
        }
    }

    private static func order<T: Comparable>(_ left: T, _ sign: String, _ right: T) -> Bool {
        switch sign {
        case "=": left == right
        case "!=": left != right
        case "<": left < right
        case "<=": left <= right
        case ">": left > right
        case ">=": left >= right
        default: false
        }
    }

    /// SQL's LIKE: `%` for any characters, `_` for one.
    private static func like(_ text: [Character], _ pattern: [Character]) -> Bool {
        var (place, mark) = (0, 0)
        var (star, retry) = (-1, 0)
        while place < text.count {
            if mark < pattern.count, pattern[mark] == "%" {
                (star, retry) = (mark, place)
                mark += 1
            } else if mark < pattern.count, pattern[mark] == "_" || pattern[mark] == text[place] {
                mark += 1
                place += 1
            } else if star >= 0 {
                retry += 1
                (mark, place) = (star + 1, retry)
            } else {
                return false
            }
        }
        return pattern[mark...].allSatisfy { $0 == "%" }
    }
}

/// One term of `order_by`: `metrics.loss DESC`.
struct MLflowOrder: Sendable {
    private let group: String
    private let name: String
    private let isDescending: Bool

    init(_ text: String) throws {
        var reader = MLflowFilterReader(text)
        guard let token = try reader.next() else { throw MLflowFilter.malformed(text) }
        (group, name) = try MLflowFilter.identifier(token)
        switch try reader.next() {
        case nil: isDescending = false
        case .word(let word)?:
            guard ["ASC", "DESC"].contains(word.uppercased()) else { throw MLflowFilter.malformed(text) }
            isDescending = word.uppercased() == "DESC"
        default: throw MLflowFilter.malformed(text)
        }
    }

    /// Sorts runs; those without the value come last.
    static func sort(_ runs: [TrackedRun], by orders: [MLflowOrder]) -> [TrackedRun] {
        guard !orders.isEmpty else { return runs }
        let keyed = runs.enumerated().map { index, run in
            (index, run, orders.map { MLflowFilter.Subject(run: run).value($0.group, $0.name) })
        }
        return keyed.sorted { left, right in
            for (order, (one, two)) in zip(orders, zip(left.2, right.2)) {
                switch (one, two) {
                case (.number(let a)?, .number(let b)?) where a != b: return order.isDescending ? a > b : a < b
                case (.text(let a)?, .text(let b)?) where a != b: return order.isDescending ? a > b : a < b
                case (nil, .some): return false
                case (.some, nil): return true
                default: continue
                }
            }
            return left.0 < right.0
        }.map(\.1)
    }
}

/// Splits a filter into words and quoted texts.
struct MLflowFilterReader {
    enum Token: Equatable {
        case word(String)
        case quoted(String)
    }

    private var rest: Substring

    init(_ text: String) { rest = text[...] }

    mutating func next() throws -> Token? {
        rest = rest.drop { $0 == " " || $0 == "\n" || $0 == "\t" }
        guard let first = rest.first else { return nil }
        if first == "'" || first == "\"" { return .quoted(try quoted(first)) }
        if "(),".contains(first) {
            rest = rest.dropFirst()
            return .word(String(first))
        }
        if "=<>!".contains(first) {
            let sign = rest.prefix { "=<>!".contains($0) }
            rest = rest.dropFirst(sign.count)
            return .word(sign == "==" ? "=" : String(sign))
        }
        var word = ""
        while let next = rest.first, !" \n\t=<>!(),".contains(next) {
            if next == "`" || next == "\"" {
                word += try quoted(next)
            } else {
                word.append(next)
                rest = rest.dropFirst()
            }
        }
        return .word(word)
    }

    private mutating func quoted(_ quote: Character) throws -> String {
        let body = rest.dropFirst()
        guard let end = body.firstIndex(of: quote) else { throw MLflowFilter.malformed(String(rest)) }
        rest = body[body.index(after: end)...]
        return String(body[..<end])
    }
}
