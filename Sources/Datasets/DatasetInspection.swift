import Crypto
import JSON

/// What is true of a dataset file.
public struct DatasetFacts: Sendable, Equatable {
    /// The format asked for or found; `nil` where none was recognised.
    public var format: DatasetFormat?
    /// Records, broken ones included.
    public var rows: Int
    public var bytes: Int64
    /// In lower-case hexadecimal.
    public var sha256: String
    /// The first issues, up to `DatasetIssueLog.keptMax`.
    public var errors: [DatasetIssue]
    /// All issues.
    public var errorCount: Int
    /// Where the records of a file that is one JSON array were written, one a line; the rows, bytes and hash are of that file.
    public var convertedPath: String?
}

/// Validates a JSON Lines file: one object a line, blank lines passed over. A file that is one JSON array can be taken too.
public enum DatasetInspection {
    /// Reads the file once, in constant memory.
    ///
    /// Issues of the content are part of the result; only the file system makes it throw (`FileError`).
    /// With `format` nil the first record decides, and all others must have the same format.
    ///
    /// - Parameter arrayTarget: where the records of a file that is one JSON array go, one a line; without it such a file is an issue.
    public static func inspect(
        path: String, format: DatasetFormat? = nil, lineBytesMax: Int = JSONLineReader.lineBytesMax, arrayTarget: String? = nil
    ) throws -> DatasetFacts {
        let start = try ForeignFile.start(of: path)
        var inspection = Pass(format: format, lineBytesMax: lineBytesMax)
        if let complaint = ForeignFile.complaint(about: start) {
            inspection.log.add(DatasetIssue(line: 1, detail: "the file " + complaint))
            return inspection.facts(bytes: Int64(try FileReader(path: path).size), sha256: try ContentHash.sha256(ofFile: path))
        }
        if let arrayTarget, ForeignFile.isArray(start) { return try inspect(arrayAt: path, to: arrayTarget, inspection) }
        var hash = SHA256()
        var bytes: Int64 = 0
        try JSONLineReader(path: path, lineBytesMax: lineBytesMax).read(
            onChunk: { chunk in
                hash.update(bufferPointer: chunk)
                bytes += Int64(chunk.count)
            },
            onLine: { inspection.look(at: $0) })
        if inspection.rows == 0 { inspection.log.add(DatasetIssue(line: 1, detail: "the file holds no records")) }
        return inspection.facts(bytes: bytes, sha256: hash.finalize().hexadecimal)
    }

    /// Whether a file starts as one JSON array.
    public static func isArray(path: String) throws(FileError) -> Bool { ForeignFile.isArray(try ForeignFile.start(of: path)) }

    /// Why a file is plainly no JSON text, as the rest of a sentence about it, such as `is compressed by gzip, …`; `nil` where it may be.
    public static func complaint(aboutFile path: String) throws(FileError) -> String? {
        ForeignFile.complaint(about: try ForeignFile.start(of: path))
    }

    private static func inspect(arrayAt path: String, to target: String, _ pass: Pass) throws -> DatasetFacts {
        var pass = pass
        let writer = try DatasetWriter(path: target)
        let lines = JSONWriter(layout: .python)
        _ = try RecordLoader(path: path).load(onEvent: { event in
            switch event {
            case .issue(let issue): pass.log.add(issue)
            case .record(let record, let line):
                pass.rows += 1
                pass.check(record, line: line)
                try writer.append(line: lines.bytes(of: record))
            }
        })
        if pass.rows == 0, pass.log.count == 0 { pass.log.add(DatasetIssue(line: 1, detail: "the array holds no records")) }
        let file = try writer.finish()
        var facts = pass.facts(bytes: file.bytes, sha256: file.sha256)
        facts.convertedPath = target
        return facts
    }
}

private struct Pass {
    var format: DatasetFormat?
    let lineBytesMax: Int
    var rows = 0
    var log = DatasetIssueLog()
    private let options: JSONParser.Options
    private var hasAdvised = false

    init(format: DatasetFormat?, lineBytesMax: Int) {
        self.format = format
        self.lineBytesMax = lineBytesMax
        var options = JSONParser.Options()
        // What stands twice is a mistake somewhere; which of the two was meant is not for a reader to choose.
        options.rejectsDuplicateKeys = true
        self.options = options
    }

    mutating func look(at line: JSONLineReader.Line) {
        if line.isTooLong {
            rows += 1
            return log.add(DatasetIssue(line: line.number, detail: "the line has more than \(lineBytesMax) bytes"))
        }
        var bytes = line.bytes
        if line.number == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = UnsafeBufferPointer(rebasing: bytes[3...]) }
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { return }
        rows += 1
        do throws(JSONError) {
            check(try JSONParser.parse(bytes, options: options), line: line.number)
        } catch {
            let isCut = error.isTruncation && !line.isTerminated
            log.add(
                DatasetIssue(
                    line: line.number, detail: (isCut ? "the file ends inside this record: " : "not one JSON object: ") + "\(error)"))
        }
    }

    func facts(bytes: Int64, sha256: String) -> DatasetFacts {
        DatasetFacts(format: format, rows: rows, bytes: bytes, sha256: sha256, errors: log.first, errorCount: log.count)
    }

    mutating func check(_ record: JSONValue, line: Int) {
        if format == nil, let members = record.object {
            switch DatasetFormat.detect(in: members) {
            case .format(let found): format = found
            case .unknown:
                // The whole sentence once; a file of other records would repeat it a thousand times.
                let advice = ": \(DatasetFormat.summary); name the format 'records' to keep any objects"
                log.add(DatasetIssue(line: line, detail: "no known format" + (hasAdvised ? "" : advice)))
                return hasAdvised = true
            case .ambiguous(let names): return log.add(DatasetIssue(line: line, detail: "fits several formats (\(names)); name one"))
            }
        }
        for problem in (format ?? .messages).problems(in: record) {
            log.add(DatasetIssue(line: line, pointer: problem.pointer, detail: problem.detail))
        }
    }
}
