/// The user's own program between two datasets.
public struct ProgramStep: Sendable, Equatable {
    public enum Exchange: String, Sendable, CaseIterable {
        /// Records on standard input, records on standard output.
        case stdio
        /// Records in the file ANNEAL_STEP_INPUT, records into the file ANNEAL_STEP_OUTPUT.
        case files
    }

    /// The program and its arguments.
    public var arguments: [String]
    public var exchange: Exchange

    public init(arguments: [String], exchange: Exchange = .stdio) { (self.arguments, self.exchange) = (arguments, exchange) }
}

/// One run of a user's program.
public struct ProgramRun: Sendable, Equatable {
    public var step: ProgramStep
    /// The records as JSON Lines.
    public var inputPath: String
    /// Where the records that it makes are to be.
    public var outputPath: String
}

/// Reads the records that a program made.
final class ProgramOutput: RecordFlow {
    /// The number of no source: lines are those of the program's output.
    private static let noFile = UInt16.max

    private let path: String
    private let name: String
    private let report: StepReport
    private let finished: () -> Void

    /// `finished` is called when all is read.
    init(path: String, name: String, report: StepReport, finished: @escaping () -> Void) {
        (self.path, self.name, self.report, self.finished) = (path, name, report, finished)
    }

    func drain(_ body: (PreparedRecord) throws -> Void) throws {
        defer { finished() }
        _ = try RecordLoader(path: path, mode: .standard).load(onEvent: { event in
            switch event {
            case .issue(let issue):
                throw DatasetError(.badData, "the output of \(name), \(issue)", issues: [issue])
            case .record(let value, let line):
                guard value.object != nil else {
                    throw DatasetError(.badData, "the output of \(name), line \(line): the record must be an object")
                }
                report.counts.recordsOut += 1
                try body(PreparedRecord(value: value, line: line, file: Self.noFile))
            }
        })
        guard report.counts.recordsOut > 0 else { throw DatasetError(.badData, "\(name) wrote no records") }
    }
}
