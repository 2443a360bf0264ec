import JSON

/// The records of files that fit a format; what does not fit is reported.
final class FileRecords: RecordFlow {
    /// Records looked at for a format before the search is given up.
    static let detectionRecordsMax = 10_000
    /// About their size in memory; guards it.
    static let detectionBytesMax = 64 << 20

    /// The format asked for or found.
    private(set) var format: DatasetFormat?
    private let paths: [String]
    private let isOriginal: Bool
    /// Whether records of no known format are taken as they are.
    private let acceptsAny: Bool
    private let context: PreparationContext
    /// Called before each file with its position.
    var onFile: (Int) -> Void = { _ in }
    private var kept = 0
    /// Records without a question in a file of questions.
    private var withoutQuestion = 0
    /// Records that came before one that told the format.
    private var undecided: [PreparedRecord] = []
    /// About their size.
    private var undecidedBytes = 0
    /// The number of the file that is read.
    private var file: UInt16 = 0
    /// Takes ordinary questions before they are parsed.
    private var skim: RecordLoader.Skim?

    init(_ paths: [String], format: DatasetFormat?, isOriginal: Bool = false, acceptsAny: Bool = false, context: PreparationContext) {
        (self.paths, self.format, self.isOriginal) = (paths, format, isOriginal)
        (self.acceptsAny, self.context) = (acceptsAny, context)
    }

    func drain(_ body: (PreparedRecord) throws -> Void) throws {
        context.bad.paths = paths
        let sizes = try paths.map { try FileReader(path: $0).size }
        let total = sizes.reduce(0, +)
        var bytesBefore = 0
        for (position, path) in paths.enumerated() {
            context.log("loading \(path)")
            onFile(position)
            file = UInt16(clamping: position)
            try read(path, body) { [context] done, _ in
                try context.advance(done: bytesBefore + done, total: max(total, bytesBefore + done))
            }
            bytesBefore += sizes[position]
        }
        context.log("loaded \(context.recordsRead) records")
        if format == .jcqa { context.log("jcqa examples: \(kept)") }
        let issues = context.bad.issues
        if issues.count > issues.first.count { context.log("… and \(issues.count - issues.first.count) more; \(issues.count) in all") }
        try finish()
    }

    /// Reads files of questions into `records`; ordinary ones without parsing them where `isCompact`.
    func drain(into records: QuestionRecords, isCompact: Bool) throws {
        if isCompact {
            skim = { [context] bytes, offset, line in
                guard let question = QuestionScanner.scan(bytes, at: offset) else { return nil }
                try records.append(question, in: bytes, line: line)
                self.kept += 1
                context.recordsRead += 1
                try context.tick()
                return question.end
            }
        }
        defer { skim = nil }
        try drain { try records.append($0) }
    }

    private func read(_ path: String, _ body: (PreparedRecord) throws -> Void, progress: (Int, Int) throws -> Void) throws {
        let summary = try RecordLoader(path: path, mode: isOriginal ? .original : .standard).load(
            onEvent: { event in
                switch event {
                case .record(let value, let line): try take(PreparedRecord(value: value, line: line, file: file), body)
                case .issue(let issue): try context.bad.add([issue], file: file)
                }
            }, onProgress: progress, skim: skim)
        if summary.errors > 0 { context.log("\(path): \(summary.errors) broken lines passed over") }
    }

    private func take(_ record: PreparedRecord, _ body: (PreparedRecord) throws -> Void) throws {
        context.recordsRead += 1
        try context.tick()
        if isOriginal {
            guard let members = record.value.object else {
                throw DatasetError(
                    .badData,
                    "\(context.bad.sources)line \(record.line): the record is \(DatasetFormat.article(record.value)); the original program fails on it too"
                )
            }
            guard members["jcqa_data"] != nil else { return withoutQuestion += 1 }
            kept += 1
            return try body(record)
        }
        if let format { return try keep(record, format: format, body) }
        undecided.append(record)
        undecidedBytes += record.value.approximateBytes
        if let members = record.value.object {
            switch DatasetFormat.detect(in: members) {
            case .format(let found): return try decide(found, body)
            case .ambiguous where acceptsAny: return try decide(.records, body)
            case .ambiguous(let names):
                throw DatasetError(
                    .badData, "\(context.bad.sources)line \(record.line) fits several formats (\(names)); name one with 'format'")
            case .unknown: if acceptsAny { return try decide(.records, body) }
            }
        }
        if undecided.count >= Self.detectionRecordsMax || undecidedBytes > Self.detectionBytesMax { throw unknownFormat() }
    }

    private func decide(_ found: DatasetFormat, _ body: (PreparedRecord) throws -> Void) throws {
        format = found
        context.log("format \(found.rawValue)")
        let waiting = undecided
        undecided = []
        for record in waiting { try keep(record, format: found, body) }
    }

    private func keep(_ record: PreparedRecord, format: DatasetFormat, _ body: (PreparedRecord) throws -> Void) throws {
        // Files of questions may hold other records too; they are no errors.
        if format == .jcqa, let members = record.value.object, members["jcqa_data"] == nil { return withoutQuestion += 1 }
        let problems = format.problems(in: record.value)
        guard problems.isEmpty else {
            let issues = problems.map { DatasetIssue(line: record.line, pointer: $0.pointer, detail: $0.detail) }
            return try context.bad.add(issues, file: record.file)
        }
        kept += 1
        try body(record)
    }

    private func unknownFormat() -> DatasetError {
        let line = undecided.first?.line ?? 1
        return DatasetError(
            .badData, "\(context.bad.sources)no record of a known format; \(DatasetFormat.summary)",
            issues: [DatasetIssue(line: line, detail: "no known format")] + context.bad.issues.first)
    }

    /// Refuses what cannot be used.
    ///
    /// Files of questions may hold broken lines, as the original's do. A file of another format with a broken record is refused,
    /// unless the rule says otherwise: to train on what is left of it could hide a loss.
    private func finish() throws(DatasetError) {
        let (issues, source) = (context.bad.issues, context.bad.sources)
        guard let format else {
            if undecided.isEmpty, issues.count == 0 { throw DatasetError(.badData, "\(source)the source holds no records") }
            if undecided.isEmpty, let first = issues.first.first {
                throw DatasetError(.badData, "\(source)the source holds no record that can be read: \(first)", issues: issues.first)
            }
            throw unknownFormat()
        }
        let isTolerant = context.bad.isDropping || (format == .jcqa && context.bad.rule == .automatic)
        if !isTolerant, let first = issues.first.first {
            let others = issues.count > 1 ? " (and \(issues.count - 1) more)" : ""
            throw DatasetError(.badData, "\(source)records not of format '\(format.rawValue)': \(first)\(others)", issues: issues.first)
        }
        if kept == 0 {
            let aside = withoutQuestion > 0 ? "; \(withoutQuestion) records have no 'jcqa_data'" : ""
            throw DatasetError(.badData, "\(source)the source holds no usable record\(aside)", issues: issues.first)
        }
    }
}
