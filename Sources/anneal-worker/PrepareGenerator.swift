import Datasets

extension PrepareRequest {
    /// The settings of a source that makes records up.
    static func generator(_ fields: RequestFields) throws(WorkerFailure) -> ToyGenerator {
        guard let name = try fields.word("name", among: ToyGenerator.names) else { throw fields.failure("name", "is missing") }
        guard let count = try fields.int("count", in: 1...ToyGenerator.countMax) else { throw fields.failure("count", "is missing") }
        let generator: ToyGenerator
        switch name {
        case "arithmetic": generator = .arithmetic(try arithmetic(fields, count: count))
        case "refusals":
            generator = .refusals(
                RefusalGenerator(
                    questions: try questions(fields, count: count), marks: try fields.word("marks", RefusalGenerator.Marks.self) ?? .none,
                    hasRewards: try fields.bool("rewards") ?? false))
        default: generator = .timesTen(try questions(fields, count: count))
        }
        guard generator.isRepresentable else {
            throw fields.failure(name == "arithmetic" ? "digits" : "start", "the numbers do not fit 64 bits")
        }
        return generator
    }

    private static func questions(_ fields: RequestFields, count: Int) throws(WorkerFailure) -> TimesTenGenerator {
        var generator = TimesTenGenerator(count: count)
        generator.start = try fields.int("start") ?? 0
        generator.step = try fields.int("step") ?? 1
        generator.seed = try fields.int("seed")
        if let format = try fields.word("format", among: ["messages", "input_output", "preference"]) {
            generator.format = DatasetFormat(rawValue: format) ?? .messages
        }
        return generator
    }

    private static func arithmetic(_ fields: RequestFields, count: Int) throws(WorkerFailure) -> ArithmeticGenerator {
        var generator = ArithmeticGenerator(count: count, seed: try fields.int("seed") ?? 42)
        let words = try fields.strings("operations")
        let operations = words.compactMap(ArithmeticGenerator.Operation.init(rawValue:))
        guard operations.count == words.count else {
            let known = ArithmeticGenerator.Operation.allCases.map(\.rawValue).joined(separator: ", ")
            throw fields.failure("operations", "must be of \(known)")
        }
        if !operations.isEmpty { generator.operations = operations }
        generator.terms = try fields.int("terms", in: 2...10) ?? generator.terms
        generator.digits = try fields.int("digits", in: 1...6) ?? generator.digits
        return generator
    }
}
