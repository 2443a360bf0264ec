import JSON

/// One step of a preparation.
public enum PreparationStep: Sendable, Equatable {
    /// Spreads the right answers of JCommonsenseQA questions evenly over the choices.
    case rebalanceJCQA(seed: Int)
    /// Turns JCommonsenseQA questions into chat messages.
    case convertJCQA
    /// Turns input and output into chat messages, with `system` as the first message where it is given.
    case toMessages(system: String?)
    case shuffle(seed: Int)
    /// Keeps `count` records drawn without replacement, in the order they had.
    case sample(count: Int, seed: Int)
    /// Divides the records; only as the last step.
    case split(DatasetSplit)

    /// The step's name in a spec.
    public var name: String {
        switch self {
        case .rebalanceJCQA: "jcqa_rebalance"
        case .convertJCQA: "jcqa_messages"
        case .toMessages: "to_messages"
        case .shuffle: "shuffle"
        case .sample: "sample"
        case .split: "split"
        }
    }

    var isJCQA: Bool {
        switch self {
        case .rebalanceJCQA, .convertJCQA: true
        default: false
        }
    }
}

/// Makes one dataset, or the parts of one, from a source.
public struct Preparation: Sendable {
    /// Where the records come from.
    public enum Source: Sendable, Equatable {
        /// Files of concatenated JSON, such as JSON Lines, read one after the other.
        case files([String])
        case generator(TimesTenGenerator)
    }

    /// A dataset that was written.
    public struct Output: Sendable, Equatable {
        /// `dataset`, or the name of a part of the split.
        public var name: String
        public var format: DatasetFormat
        public var file: WrittenFile
    }

    /// What a preparation made.
    public struct Result: Sendable {
        public var outputs: [Output]
        /// Records that were read, broken ones not counted.
        public var recordsRead: Int
        /// What was passed over.
        public var issues: DatasetIssueLog
    }

    public var source: Source
    /// `nil` where the first record decides.
    public var format: DatasetFormat?
    public var steps: [PreparationStep]
    /// True for byte identity with the program that the JCommonsenseQA steps come from.
    public var isOriginal: Bool

    public init(source: Source, format: DatasetFormat? = nil, steps: [PreparationStep] = [], isOriginal: Bool = false) {
        self.source = source
        self.format = format
        self.steps = steps
        self.isOriginal = isOriginal
    }

    /// Why these parts do not go together; `nil` where they do.
    public var contradiction: String? {
        if let position = steps.dropLast().firstIndex(where: { if case .split = $0 { true } else { false } }) {
            return "step \(position + 1) is 'split', which must be the last one"
        }
        let hasJCQA = steps.contains(where: \.isJCQA)
        if hasJCQA, let format, format != .jcqa { return "the jcqa steps need records of format 'jcqa', not '\(format.rawValue)'" }
        if hasJCQA, case .generator = source { return "the jcqa steps need records of format 'jcqa'; the generator makes none" }
        if isOriginal {
            if !hasJCQA { return "'compat: seed' needs the jcqa steps" }
            if let other = steps.first(where: { step in if case .split = step { false } else { !step.isJCQA } }) {
                return "'compat: seed' allows only jcqa_rebalance, jcqa_messages and split, not \(other.name)"
            }
        }
        return nil
    }

    /// Reads the source, applies the steps and writes the results into `folder` (`dataset.jsonl`, or `train.jsonl` and so on).
    ///
    /// `log` gets one line at a time; `progress` the work done and the whole, in bytes of the source or in rows, and may throw to
    /// end the work. Throws `DatasetError` and `FileError`.
    public func run(folder: String, log: (String) -> Void, progress: (Int, Int) throws -> Void = { _, _ in }) throws -> Result {
        if let contradiction { throw DatasetError(.badRequest, contradiction) }
        var table: RecordTable
        var issues = DatasetIssueLog()
        var recordsRead = 0
        switch source {
        case .generator(let generator):
            table = generator.table()
            recordsRead = table.count
            log("generated \(table.count) records in format \(table.format.rawValue)")
            try progress(table.count, table.count)
        case .files(let paths):
            var intake = RecordIntake(format: steps.contains(where: \.isJCQA) ? .jcqa : format, isOriginal: isOriginal)
            try intake.read(paths, log: log, progress: progress)
            table = try intake.table()
            issues = intake.issues
            recordsRead = intake.recordsRead
        }
        for step in steps { try apply(step, to: &table, issues: &issues, log: log) }
        return Result(outputs: try write(table, folder: folder, log: log), recordsRead: recordsRead, issues: issues)
    }

    private func apply(
        _ step: PreparationStep, to table: inout RecordTable, issues: inout DatasetIssueLog, log: (String) -> Void
    ) throws {
        switch step {
        case .rebalanceJCQA(let seed):
            guard table.format == .jcqa else { throw DatasetError(.badRequest, "jcqa_rebalance must come before jcqa_messages") }
            try LabelRebalancing(seed: seed, isOriginal: isOriginal).apply(to: &table, log: log)
        case .convertJCQA:
            try table.convertQuestions()
            log("converted \(table.count) records to messages")
            log("converted: \(table.count) records, labels \(table.labelCounts)")
        case .toMessages(let system):
            try table.convertInputOutput(system: system)
            log("converted \(table.count) records to messages")
        case .shuffle(let seed):
            var random = MersenneTwister(seed: seed, stream: RandomStream.shuffle)
            var order = Array(0..<table.count)
            random.shuffle(&order)
            table.keep(order)
        case .sample(let count, let seed):
            guard count <= table.count else {
                throw DatasetError(.badData, "the step 'sample' asks for \(count) records; there are \(table.count)")
            }
            var random = MersenneTwister(seed: seed, stream: RandomStream.sample)
            var order = Array(0..<table.count)
            random.shuffle(&order)
            table.keep(order.prefix(count).sorted())
            log("sampled \(table.count) records")
        case .split:
            break  // The last step; `write` makes the parts.
        }
    }

    private func write(_ table: RecordTable, folder: String, log: (String) -> Void) throws -> [Output] {
        guard case .split(let split)? = steps.last else {
            let file = try table.write(to: folder + "/dataset.jsonl")
            log("wrote \(file.rows) records to \(file.path)")
            return [Output(name: "dataset", format: table.format, file: file)]
        }
        let indexes = try isOriginal ? split.originalIndexes(count: table.count) : split.indexes(count: table.count, labels: table.labels)
        let parts = zip(split.parts, indexes).map { (name: $0.name, table: table.selecting($1)) }
        log("split: " + parts.map { "\($0.name) \($0.table.count)" }.joined(separator: ", "))
        for part in parts where part.table.labels != nil {
            log("\(part.name): \(part.table.count) records, labels \(part.table.labelCounts)")
        }
        let outputs = try parts.map { part in
            Output(name: part.name, format: table.format, file: try part.table.write(to: "\(folder)/\(part.name).jsonl"))
        }
        for output in outputs { log("wrote \(output.file.rows) records to \(output.file.path)") }
        return outputs
    }
}
