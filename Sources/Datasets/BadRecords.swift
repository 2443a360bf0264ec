import JSON

/// What becomes of records that cannot be read, or that a step cannot take.
public enum BadRecordRule: Sendable, Equatable {
    /// Questions of JCommonsenseQA are passed over, as by the program that their steps come from; others end the work.
    case automatic
    /// They end the work.
    case fail
    /// They are left out and listed in a file; more than `max` of them end the work.
    case drop(max: Int)
}

/// The bad records of one preparation.
final class BadRecords {
    let rule: BadRecordRule
    /// The sources' paths, by the numbers that records carry.
    var paths: [String] = []
    private(set) var issues = DatasetIssueLog()
    private(set) var count = 0
    private let log: (String) -> Void
    private let reportPath: String
    private var report: DatasetWriter?

    /// - Parameter folder: where the list of what is dropped goes.
    init(rule: BadRecordRule, folder: String, log: @escaping (String) -> Void) throws(FileError) {
        (self.rule, self.log) = (rule, log)
        reportPath = folder + "/bad-records.jsonl"
        if case .drop = rule { report = try DatasetWriter(path: reportPath) }
    }

    var isDropping: Bool { if case .drop = rule { true } else { false } }

    /// Counts a record with what is wrong with it; the first are told in the log. Throws where that are too many.
    func add(_ problems: [DatasetIssue], file: UInt16, step: String? = nil) throws {
        count += 1
        for problem in problems {
            // One source needs no name at each line.
            var named = problem
            if paths.count > 1 { named.detail = "\(name(of: file)): \(problem.detail)" }
            issues.add(named)
            if issues.count <= DatasetIssueLog.keptMax { log(named.description + (step.map { " (\($0))" } ?? "")) }
            try write(problem, file: file, step: step)
        }
        guard case .drop(let max) = rule, count > max else { return }
        // The list is kept: it tells what there is to repair.
        _ = try report?.finish()
        report = nil
        let first = issues.first.first.map { "; the first: \($0)" } ?? ""
        throw DatasetError(
            .badData, "\(sources)more than \(max) bad records ('bad_records_max')\(first); \(reportPath) lists them", issues: issues.first)
    }

    /// The last part of a source's path.
    private func name(of file: UInt16) -> String {
        guard paths.indices.contains(Int(file)) else { return "" }
        return paths[Int(file)].split(separator: "/").last.map(String.init) ?? paths[Int(file)]
    }

    /// The source's name as the start of a message; empty where there are several, whose issues have it.
    var sources: String { paths.count == 1 ? name(of: 0) + ": " : "" }

    private func write(_ problem: DatasetIssue, file: UInt16, step: String?) throws {
        guard let report else { return }
        var members: JSONObject = [
            "line": .int(Int64(problem.line)), "pointer": .string(problem.pointer), "detail": .string(problem.detail),
        ]
        if paths.indices.contains(Int(file)) { members["file"] = .string(paths[Int(file)]) }
        if let step { members["step"] = .string(step) }
        try report.append(line: JSONWriter(layout: .python).bytes(of: .object(members)))
    }

    /// The list, with no line where nothing was bad; `nil` where nothing may be dropped.
    func finish() throws(FileError) -> WrittenFile? {
        defer { report = nil }
        return try report?.finish()
    }

    /// What a step throws of one record, told with its source and the step.
    func placed(_ error: DatasetError) -> DatasetError {
        guard let place = error.place, let issue = error.issues.first else { return error }
        var error = error
        let name = name(of: place.file)
        error.message = "\(name.isEmpty ? "" : name + ", ")\(issue)\(place.step.map { " (\($0))" } ?? "")"
        return error
    }
}

extension StepReport {
    /// The step in messages.
    var title: String { "step \(counts.position), \(counts.name)" }

    /// Runs what a step does with one record; a fault of that record ends the work or leaves it out.
    func attempt(_ bad: BadRecords, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch var error as DatasetError where error.place != nil && error.place?.step == nil {
            error.place?.step = title
            guard bad.isDropping, let place = error.place else { throw error }
            drop("bad_record")
            try bad.add(error.issues, file: place.file, step: title)
        }
    }
}
