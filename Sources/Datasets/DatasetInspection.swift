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
}

/// Validates a JSON Lines file: one object a line, blank lines passed over.
public enum DatasetInspection {
    /// Reads the file once, in constant memory.
    ///
    /// Issues of the content are part of the result; only the file system makes it throw (`FileError`).
    /// With `format` nil the first record decides, and all others must have the same format.
    public static func inspect(path: String, format: DatasetFormat? = nil, lineBytesMax: Int = JSONLineReader.lineBytesMax) throws
        -> DatasetFacts
    {
        var hash = SHA256()
        var bytes: Int64 = 0
        var inspection = Pass(format: format, lineBytesMax: lineBytesMax)
        try JSONLineReader(path: path, lineBytesMax: lineBytesMax).read(
            onChunk: { chunk in
                hash.update(bufferPointer: chunk)
                bytes += Int64(chunk.count)
            },
            onLine: { inspection.look(at: $0) })
        if inspection.rows == 0 { inspection.log.add(DatasetIssue(line: 1, detail: "the file holds no records")) }
        return DatasetFacts(
            format: inspection.format, rows: inspection.rows, bytes: bytes, sha256: hash.finalize().hexadecimal,
            errors: inspection.log.first, errorCount: inspection.log.count)
    }
}

private struct Pass {
    var format: DatasetFormat?
    let lineBytesMax: Int
    var rows = 0
    var log = DatasetIssueLog()

    init(format: DatasetFormat?, lineBytesMax: Int) {
        self.format = format
        self.lineBytesMax = lineBytesMax
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
            check(try JSONParser.parse(bytes), line: line.number)
        } catch {
            log.add(DatasetIssue(line: line.number, detail: "not one JSON object: \(error)"))
        }
    }

    private mutating func check(_ record: JSONValue, line: Int) {
        if format == nil, let members = record.object {
            switch DatasetFormat.detect(in: members) {
            case .format(let found): format = found
            case .unknown: return log.add(DatasetIssue(line: line, detail: "no known format; \(DatasetFormat.summary)"))
            case .ambiguous(let names): return log.add(DatasetIssue(line: line, detail: "fits several formats (\(names)); name one"))
            }
        }
        for problem in (format ?? .messages).problems(in: record) {
            log.add(DatasetIssue(line: line, pointer: problem.pointer, detail: problem.detail))
        }
    }
}
