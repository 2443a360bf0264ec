/// How far a preparation is.
public struct PreparationProgress: Sendable, Equatable {
    /// Work done on the source, in bytes or in records.
    public var done: Int
    public var total: Int
    /// Records read so far.
    public var records: Int
    /// What each step has taken and handed on so far.
    public var steps: [StepCounts]

    public init(done: Int = 0, total: Int = 0, records: Int = 0, steps: [StepCounts] = []) {
        (self.done, self.total, self.records, self.steps) = (done, total, records, steps)
    }
}

/// What the parts of one preparation share while it runs.
final class PreparationContext {
    /// Records between two looks at whether the work is to end.
    private static let recordsBetweenTicks = 512

    let folder: String
    let log: (String) -> Void
    private let progress: (PreparationProgress) throws -> Void
    private let runner: ((ProgramRun) throws -> Void)?
    var reports: [StepReport] = []
    let bad: BadRecords
    var recordsRead = 0
    /// Files beside the datasets, such as reports.
    var files: [Preparation.SideFile] = []
    private var done = 0
    private var total = 0
    private var recordsSinceTick = 0

    init(
        folder: String, badRecords: BadRecordRule, log: @escaping (String) -> Void,
        progress: @escaping (PreparationProgress) throws -> Void, runner: ((ProgramRun) throws -> Void)?
    ) throws(FileError) {
        bad = try BadRecords(rule: badRecords, folder: folder, log: log)
        (self.folder, self.log, self.progress, self.runner) = (folder, log, progress, runner)
    }

    func makeSpool() -> RecordSpool { RecordSpool(folder: folder) }

    /// Tells how much of the source is read; may throw to end the work.
    func advance(done: Int, total: Int) throws {
        (self.done, self.total) = (done, total)
        try report()
    }

    /// Counts a record; now and then looks at whether the work is to end.
    func tick() throws {
        recordsSinceTick += 1
        guard recordsSinceTick >= Self.recordsBetweenTicks else { return }
        try report()
    }

    private func report() throws {
        recordsSinceTick = 0
        try progress(PreparationProgress(done: done, total: total, records: recordsRead, steps: reports.map(\.counts)))
    }

    func run(_ program: ProgramRun) throws {
        guard let runner else { throw DatasetError(.badRequest, "this program cannot run a step of kind 'command'") }
        try runner(program)
    }
}
