import JSON

/// Makes problems of arithmetic with their answers, as for reinforcement learning: `{"problem", "expected_answer"}`.
public struct ArithmeticGenerator: Sendable, Equatable {
    /// What stands between two numbers.
    public enum Operation: String, Sendable, CaseIterable {
        case add, subtract, multiply

        var sign: String {
            switch self {
            case .add: "+"
            case .subtract: "-"
            case .multiply: "*"
            }
        }
    }

    /// Decimal digits whose products fit 64 bits.
    public static let productDigitsMax = 18

    public var count: Int
    /// What is drawn from.
    public var operations: [Operation]
    /// Numbers of one problem.
    public var terms: Int
    /// Digits of a number at most.
    public var digits: Int
    public var seed: Int

    public init(count: Int, operations: [Operation] = Operation.allCases, terms: Int = 2, digits: Int = 2, seed: Int = 42) {
        (self.count, self.operations, self.terms, self.digits, self.seed) = (count, operations, terms, digits, seed)
    }

    /// Whether all answers fit 64-bit integers.
    public var isRepresentable: Bool { !operations.contains(.multiply) || terms * digits <= Self.productDigitsMax }

    func record(at row: Int) -> JSONValue {
        var random = RowRandom(seed: seed, row: row)
        let bound = (0..<digits).reduce(1) { power, _ in power * 10 }
        let first = random.below(bound)
        var text = "\(first)"
        // Products bind before sums: `sum` is done, `product` may still grow.
        var (sum, product) = (0, first)
        for _ in 1..<terms {
            let operation = operations[random.below(operations.count)]
            let number = random.below(bound)
            text += " \(operation.sign) \(number)"
            switch operation {
            case .add: (sum, product) = (sum + product, number)
            case .subtract: (sum, product) = (sum + product, -number)
            case .multiply: product *= number
            }
        }
        return ["problem": .string("What is \(text)?"), "expected_answer": .string("\(sum + product)")]
    }
}
