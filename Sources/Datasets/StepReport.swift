/// What went into a step and what came out of it.
public struct StepCounts: Sendable, Equatable {
    /// Counted from 1.
    public var position: Int
    public var name: String
    public var recordsIn = 0
    public var recordsOut = 0
    /// Records that a step left out, by reason.
    public var dropped: [String: Int] = [:]
    /// Other numbers that tell what the step did, such as `modified`.
    public var others: [String: Int] = [:]

    public var droppedTotal: Int { dropped.values.reduce(0, +) }
}

/// The counts of a step while it runs; shared between the step and those who report on it.
final class StepReport {
    var counts: StepCounts

    init(position: Int, name: String) { counts = StepCounts(position: position, name: name) }

    func drop(_ reason: String, _ count: Int = 1) { counts.dropped[reason, default: 0] += count }
    func note(_ what: String, _ count: Int = 1) { counts.others[what, default: 0] += count }
}

/// A step that looks at one record after the other.
protocol RecordTransform {
    /// Takes a record and hands on what comes of it.
    mutating func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws
    /// Hands on what was held back, after the last record.
    mutating func finish(report: StepReport, _ next: (PreparedRecord) throws -> Void) throws
}

extension RecordTransform {
    mutating func finish(report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {}
}

/// The records of another flow after a step.
final class TransformedRecords: RecordFlow {
    private let upstream: any RecordFlow
    private var transform: any RecordTransform
    private let report: StepReport
    private let bad: BadRecords
    private let finished: (StepReport) throws -> Void

    /// `finished` is called when the last record has passed.
    init(
        _ upstream: any RecordFlow, _ transform: any RecordTransform, report: StepReport, bad: BadRecords,
        finished: @escaping (StepReport) throws -> Void = { _ in }
    ) {
        (self.upstream, self.transform, self.report, self.bad, self.finished) = (upstream, transform, report, bad, finished)
    }

    func drain(_ body: (PreparedRecord) throws -> Void) throws {
        let report = report
        func next(_ record: PreparedRecord) throws {
            report.counts.recordsOut += 1
            try body(record)
        }
        try upstream.drain { record in
            report.counts.recordsIn += 1
            try report.attempt(bad) { try transform.take(record, report: report, next) }
        }
        try transform.finish(report: report, next)
        try finished(report)
    }
}
