import JSON

/// Keeps the problems of a suitable difficulty, by the share of right answers among a model's generations.
public struct PassRateSelection: Sendable, Equatable {
    public enum Emission: String, Sendable, CaseIterable {
        /// One record for each problem: its first.
        case problems
        /// All its generations.
        case records
    }

    public var groupBy = "problem"
    public var grade = CorrectnessSelection()
    /// A member that holds the pass rate already; the records then stay by themselves.
    public var rateKey: String?
    /// Problems of this pass rate and above are too easy.
    public var discardFrom: Double? = 0.75
    /// Problems below this pass rate are too hard.
    public var min = 0.0
    /// Problems with fewer graded generations are left out.
    public var minSamples = 1
    public var emission = Emission.problems

    public init() {}

    /// Why a problem is left out; `nil` where it stays.
    func reasonToDrop(rate: Double) -> String? {
        if let discardFrom, rate >= discardFrom { return "too_easy" }
        return rate < min ? "too_hard" : nil
    }
}

/// Selects by a pass rate that the records hold.
struct GivenPassRateSelection: RecordTransform {
    let selection: PassRateSelection
    let key: String

    func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        let rate = try record.passRate(key)
        if let reason = selection.reasonToDrop(rate: rate) { return report.drop(reason) }
        try next(record)
    }
}

extension PreparedRecord {
    /// The number from 0 to 1 at `key`.
    func passRate(_ key: String) throws(DatasetError) -> Double {
        guard let rate = member(key)?.double, (0...1).contains(rate) else {
            throw failure("'\(key)' must be a number from 0 to 1", at: key)
        }
        return rate
    }
}

/// Selects by the grades of each problem's generations.
final class PassRateRecords: RecordFlow {
    private let records: any RecordCollection
    private let kept: [(index: Int, rate: Double, samples: Int)]
    private let report: StepReport

    init(_ flow: any RecordFlow, _ selection: PassRateSelection, report: StepReport, context: PreparationContext) throws {
        self.report = report
        var grades: [Bool?] = []
        let (records, groups) = try RecordGroups.collect(flow, by: [selection.groupBy], report: report, context: context) {
            grades.append(selection.grade.isCorrect($0))
        }
        self.records = records
        var kept: [(index: Int, rate: Double, samples: Int)] = []
        for group in groups.members {
            let graded = group.compactMap { grades[$0] }
            guard graded.count >= max(1, selection.minSamples) else {
                report.drop("too_few_graded", group.count)
                continue
            }
            let rate = Double(graded.count { $0 }) / Double(graded.count)
            if let reason = selection.reasonToDrop(rate: rate) {
                report.drop(reason, group.count)
                continue
            }
            let members = selection.emission == .problems ? group.prefix(1) : group[...]
            report.drop("other_generations", group.count - members.count)
            kept += members.map { ($0, rate, graded.count) }
        }
        if report.counts.dropped["other_generations"] == 0 { report.counts.dropped["other_generations"] = nil }
        report.note("problems", groups.members.count)
        self.kept = kept
    }

    func drain(_ body: (PreparedRecord) throws -> Void) throws {
        for (index, rate, samples) in kept {
            let record = try records.record(at: index)
            guard case .object(var members) = record.value else { continue }
            members["pass_rate"] = .double(rate)
            members["pass_rate_samples"] = .int(Int64(samples))
            report.counts.recordsOut += 1
            try body(record.replacing(members))
        }
    }
}
