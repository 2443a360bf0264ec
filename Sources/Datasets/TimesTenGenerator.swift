import JSON

/// Makes the toy task `{i}*10=?`, whose answers are known for certain.
public struct TimesTenGenerator: Sendable, Equatable {
    public var count: Int
    /// The first number.
    public var start: Int
    /// The distance from each number to the next.
    public var step: Int
    public var format: DatasetFormat
    /// With a seed the rows are shuffled; without one they are in ascending order of `i`.
    public var seed: Int?

    public init(count: Int, start: Int = 0, step: Int = 1, format: DatasetFormat = .messages, seed: Int? = nil) {
        self.count = count
        self.start = start
        self.step = step
        self.format = format
        self.seed = seed
    }

    /// Whether all questions and answers fit 64-bit integers.
    public var isRepresentable: Bool {
        let (span, spanOverflows) = step.multipliedReportingOverflow(by: max(0, count - 1))
        let (last, lastOverflows) = start.addingReportingOverflow(span)
        return !spanOverflows && !lastOverflows && !start.multipliedReportingOverflow(by: 10).overflow
            && !last.multipliedReportingOverflow(by: 10).overflow
    }

    /// The number that `row` asks about.
    func number(of row: Int) -> Int { start + row * step }

    /// The row that asks about `number`.
    func record(for number: Int) -> JSONValue {
        let question = JSONValue.string("\(number)*10=?")
        let answer = JSONValue.string("\(number * 10)")
        switch format {
        case .inputOutput: return ["input": question, "output": answer]
        case .preference:
            return ["prompt": question, "chosen_response": answer, "rejected_response": .string(RefusalGenerator.refusals[0])]
        default: return ["messages": [["role": "user", "content": question], ["role": "assistant", "content": answer]]]
        }
    }
}
