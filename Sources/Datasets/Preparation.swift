import JSON

/// Makes one dataset, or the parts of one, from a source.
///
/// Records stream from the source through the steps to the file. Steps that need an order (`shuffle`, `split`, groups) spool the
/// records and keep an index entry for each in memory.
public struct Preparation: Sendable {
    /// Where the records come from.
    public enum Source: Sendable, Equatable {
        /// Files of concatenated JSON, such as JSON Lines, read one after the other.
        case files([String])
        case generator(TimesTenGenerator)
        case interleave(Interleaving)
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
        /// What each step took, handed on and left out.
        public var steps: [StepCounts]
        /// Files beside the datasets, such as reports and what a step left out.
        public var files: [WrittenFile]
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
        if let convert = steps.firstIndex(of: .convertJCQA), steps[(convert + 1)...].contains(where: \.isJCQA) {
            return "no jcqa step can come after jcqa_messages"
        }
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
    /// `log` gets one line at a time; `progress` may throw to end the work; `runProgram` runs the program of a `command` step and
    /// throws where that fails. Throws `DatasetError` and `FileError`.
    public func run(
        folder: String, log: (String) -> Void, progress: (PreparationProgress) throws -> Void = { _ in },
        runProgram: ((ProgramRun) throws -> Void)? = nil
    ) throws -> Result {
        if let contradiction { throw DatasetError(.badRequest, contradiction) }
        return try withoutActuallyEscaping(log) { log in
            try withoutActuallyEscaping(progress) { progress in
                let context = PreparationContext(folder: folder, log: log, progress: progress, runner: runProgram)
                let pipeline = PreparationPipeline(self, context: context)
                let outputs = try pipeline.run()
                return Result(
                    outputs: outputs, recordsRead: context.recordsRead, issues: context.issues, steps: context.reports.map(\.counts),
                    files: context.files)
            }
        }
    }
}
