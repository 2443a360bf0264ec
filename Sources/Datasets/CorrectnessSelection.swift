import JSON

/// Keeps or drops generations by whether they were graded right.
public struct CorrectnessSelection: Sendable, Equatable {
    public var addCorrect = true
    public var addIncorrect = false
    /// Whether generations that were never graded are kept.
    public var addUnlabeled = false
    /// Whether a judge's text decides instead of a boolean.
    public var useJudgement = false
    /// The member that holds the grade; `nil` for `is_correct`, or `symbolic_correct` where that is missing.
    public var field: String?
    /// Records to leave out at the start.
    public var skipFirst = 0

    public init() {}

    /// The grade of a record; `nil` where it has none.
    func isCorrect(_ record: PreparedRecord) -> Bool? {
        if useJudgement { return record.member(field ?? "judgement")?.string.map(Self.saysYes) }
        for name in field.map({ [$0] }) ?? ["is_correct", "symbolic_correct"] {
            if let grade = record.member(name), !grade.isNull { return grade.isTruthy }
        }
        return nil
    }

    /// Whether a judge's text ends in a yes.
    static func saysYes(_ judgement: String) -> Bool {
        let lower = judgement.lowercased()
        var verdict = Substring(lower)
        while let range = verdict.firstRange(of: "judgement:") ?? verdict.firstRange(of: "judgment:") {
            verdict = verdict[range.upperBound...]
        }
        return verdict.drop { !$0.isLetter }.hasPrefix("yes")
    }
}

extension CorrectnessSelection: RecordTransform {
    func take(_ record: PreparedRecord, report: StepReport, _ next: (PreparedRecord) throws -> Void) throws {
        guard report.counts.recordsIn > skipFirst else { return report.drop("skipped_first") }
        switch isCorrect(record) {
        case nil: if addUnlabeled { try next(record) } else { report.drop("unlabeled") }
        case true?: if addCorrect { try next(record) } else { report.drop("correct") }
        case false?: if addIncorrect { try next(record) } else { report.drop("incorrect") }
        }
    }
}
