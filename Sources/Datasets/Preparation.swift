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
        case generator(ToyGenerator)
        case interleave(Interleaving)
    }

    /// A dataset that was written.
    public struct Output: Sendable, Equatable {
        /// `dataset`, or the name of a part of the split.
        public var name: String
        public var format: DatasetFormat
        public var file: WrittenFile

        public init(name: String, format: DatasetFormat, file: WrittenFile) {
            (self.name, self.format, self.file) = (name, format, file)
        }
    }

    /// What a preparation made.
    public struct Result: Sendable {
        public var outputs: [Output]
        /// Records that were read, broken ones not counted.
        public var recordsRead: Int
        /// What was passed over.
        public var issues: DatasetIssueLog
        /// Records that were passed over.
        public var badRecords: Int
        /// What each step took, handed on and left out.
        public var steps: [StepCounts]
        /// Files beside the datasets, such as reports and what a step left out.
        public var files: [SideFile]

        public init(
            outputs: [Output], recordsRead: Int, issues: DatasetIssueLog, badRecords: Int = 0, steps: [StepCounts], files: [SideFile]
        ) {
            (self.outputs, self.recordsRead, self.issues, self.badRecords) = (outputs, recordsRead, issues, badRecords)
            (self.steps, self.files) = (steps, files)
        }
    }

    /// A file beside the datasets.
    public struct SideFile: Sendable, Equatable {
        /// What it tells: `decontamination`, `dropped` or `bad_records`.
        public var name: String
        /// The step that made it, from 1; 0 for none.
        public var step: Int
        public var file: WrittenFile
    }

    public var source: Source
    /// `nil` where the first record decides.
    public var format: DatasetFormat?
    public var steps: [PreparationStep]
    /// True for byte identity with the program that the JCommonsenseQA steps come from.
    public var isOriginal: Bool
    public var badRecords: BadRecordRule

    public init(
        source: Source, format: DatasetFormat? = nil, steps: [PreparationStep] = [], isOriginal: Bool = false,
        badRecords: BadRecordRule = .automatic
    ) {
        self.source = source
        self.format = format
        self.steps = steps
        self.isOriginal = isOriginal
        self.badRecords = badRecords
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
            if badRecords != .automatic { return "'compat: seed' passes over bad records as the original does; leave out 'on_bad_record'" }
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
                let context = try PreparationContext(
                    folder: folder, badRecords: badRecords, log: log, progress: progress, runner: runProgram)
                do {
                    let outputs = try PreparationPipeline(self, context: context).run()
                    if let list = try context.bad.finish() { context.files.append(SideFile(name: "bad_records", step: 0, file: list)) }
                    return Result(
                        outputs: outputs, recordsRead: context.recordsRead, issues: context.bad.issues, badRecords: context.bad.count,
                        steps: context.reports.map(\.counts), files: context.files)
                } catch let error as DatasetError {
                    throw context.bad.placed(error)
                }
            }
        }
    }
}
