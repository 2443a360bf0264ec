import JSON

/// Takes the records of the sources, finds their format, and keeps those that fit it.
struct RecordIntake {
    /// Records looked at for a format before the search is given up.
    static let detectionRecordsMax = 10_000

    private(set) var format: DatasetFormat?
    private(set) var issues = DatasetIssueLog()
    private(set) var recordsRead = 0
    private let isOriginal: Bool
    /// Records without a question in a file of questions.
    private var withoutQuestion = 0
    private var records = RecordTable(format: .messages)
    /// Records that came before one that told the format.
    private var undecided: [(record: JSONValue, line: Int)] = []
    /// The name of the file that is read, where there are several.
    private var fileName = ""

    init(format: DatasetFormat?, isOriginal: Bool) {
        self.format = format
        self.isOriginal = isOriginal
    }

    mutating func read(_ paths: [String], log: (String) -> Void, progress: (Int, Int) throws -> Void) throws {
        let sizes = try paths.map { try FileReader(path: $0).size }
        let total = sizes.reduce(0, +)
        var bytesBefore = 0
        for (path, size) in zip(paths, sizes) {
            log("loading \(path)")
            if paths.count > 1 { fileName = (path.split(separator: "/").last.map(String.init) ?? path) + ": " }
            try read(path, log: log) { done, _ in try progress(bytesBefore + done, max(total, bytesBefore + done)) }
            bytesBefore += size
        }
        log("loaded \(recordsRead) records")
        if format == .jcqa { log("jcqa examples: \(records.count)") }
        if issues.count > issues.first.count { log("… and \(issues.count - issues.first.count) more; \(issues.count) in all") }
    }

    private mutating func read(_ path: String, log: (String) -> Void, progress: (Int, Int) throws -> Void) throws {
        let loader = RecordLoader(path: path, mode: isOriginal ? .original : .standard)
        let summary = try loader.load(
            onEvent: { event in
                switch event {
                case .record(let record, let line): try take(record, line: line, log: log)
                case .issue(let issue): report(issue, log: log)
                }
            }, onProgress: progress)
        if summary.errors > 0 { log("\(path): \(summary.errors) broken lines passed over") }
    }

    private mutating func report(_ issue: DatasetIssue, log: (String) -> Void) {
        var issue = issue
        issue.detail = fileName + issue.detail
        issues.add(issue)
        if issues.count <= DatasetIssueLog.keptMax { log(issue.description) }
    }

    private mutating func take(_ record: JSONValue, line: Int, log: (String) -> Void) throws {
        recordsRead += 1
        if isOriginal {
            guard let members = record.object else {
                throw DatasetError(
                    .badData, "line \(line): the record is \(DatasetFormat.article(record)); the original program fails on it too")
            }
            if members["jcqa_data"] != nil { records.append(record, line: line) } else { withoutQuestion += 1 }
            return
        }
        if let format { return keep(record, format: format, line: line, log: log) }
        undecided.append((record, line))
        if let members = record.object {
            switch DatasetFormat.detect(in: members) {
            case .format(let found): return decide(found, log: log)
            case .ambiguous(let names):
                throw DatasetError(.badData, "line \(line) fits several formats (\(names)); name one with 'format'")
            case .unknown: break
            }
        }
        if undecided.count >= Self.detectionRecordsMax { throw unknownFormat() }
    }

    private mutating func decide(_ found: DatasetFormat, log: (String) -> Void) {
        format = found
        log("format \(found.rawValue)")
        let waiting = undecided
        undecided = []
        for (record, line) in waiting { keep(record, format: found, line: line, log: log) }
    }

    private mutating func keep(_ record: JSONValue, format: DatasetFormat, line: Int, log: (String) -> Void) {
        // Files of questions may hold other records too; they are no errors.
        if format == .jcqa, let members = record.object, members["jcqa_data"] == nil { return withoutQuestion += 1 }
        let problems = format.problems(in: record)
        for problem in problems { report(DatasetIssue(line: line, pointer: problem.pointer, detail: problem.detail), log: log) }
        if problems.isEmpty { records.append(record, line: line) }
    }

    private func unknownFormat() -> DatasetError {
        let line = undecided.first?.line ?? 1
        return DatasetError(
            .badData, "no record of a known format; \(DatasetFormat.summary)",
            issues: [DatasetIssue(line: line, detail: fileName + "no known format")] + issues.first)
    }

    /// The records that fit.
    ///
    /// Files of questions may hold broken lines, as the original's do. A file of another format with a broken record is refused:
    /// to train on what is left of it could hide a loss.
    func table() throws(DatasetError) -> RecordTable {
        guard let format else {
            if undecided.isEmpty, issues.count == 0 { throw DatasetError(.badData, "the source holds no records") }
            throw unknownFormat()
        }
        if format != .jcqa, issues.count > 0, let first = issues.first.first {
            let others = issues.count > 1 ? " (and \(issues.count - 1) more)" : ""
            throw DatasetError(.badData, "records not of format '\(format.rawValue)': \(first)\(others)", issues: issues.first)
        }
        if records.count == 0 {
            let aside = withoutQuestion > 0 ? "; \(withoutQuestion) records have no 'jcqa_data'" : ""
            throw DatasetError(.badData, "the source holds no usable record\(aside)", issues: issues.first)
        }
        var table = records
        table.format = format
        return table
    }
}
