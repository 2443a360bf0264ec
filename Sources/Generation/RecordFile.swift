import Datasets
import Glibc
import JSON

/// The records of a JSON Lines file, of which only the places are in memory.
public final class RecordFile {
    private let path: String
    private let descriptor: Int32
    private var places: [(offset: Int, count: Int32)] = []

    /// Finds the records, and hands each to `check`; its problems are collected.
    ///
    /// - Parameter limit: records used, from the first on.
    public init(path: String, limit: Int? = nil, log: inout DatasetIssueLog, check: (JSONObject) -> String?) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(call: "open", path: path, code: errno) }
        var issues = DatasetIssueLog()
        try JSONLineReader(path: path).read { line in
            guard places.count < limit ?? .max, !line.isBlank else { return }
            if line.isTooLong { return issues.add(DatasetIssue(line: line.number, detail: "the line is too long")) }
            do throws(JSONError) {
                guard let record = try JSONParser.parse(line.bytes).object else {
                    return issues.add(DatasetIssue(line: line.number, detail: "the record must be an object"))
                }
                if let problem = check(record) { return issues.add(DatasetIssue(line: line.number, detail: problem)) }
                places.append((line.offset, Int32(line.bytes.count)))
            } catch {
                issues.add(DatasetIssue(line: line.number, detail: "not one JSON object: \(error)"))
            }
        }
        log = issues
    }

    deinit { close(descriptor) }

    public var count: Int { places.count }

    /// The bytes of a record, without its line end.
    public func bytes(of index: Int) throws(FileError) -> [UInt8] {
        let place = places[index]
        return try FilePiece.read(descriptor, path: path, offset: place.offset, count: Int(place.count))
    }
}

/// Reads from the middle of files.
enum FilePiece {
    static func read(_ descriptor: Int32, path: String, offset: Int, count: Int) throws(FileError) -> [UInt8] {
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                guard let base = buffer.baseAddress else { break }
                let result = pread(descriptor, base + filled, count - filled, off_t(offset + filled))
                if result > 0 {
                    filled += result
                } else if result == 0 || errno != EINTR {
                    code = result == 0 ? EIO : errno
                    break
                }
            }
        }
        guard bytes.count == count else { throw FileError(call: "pread", path: path, code: code) }
        return bytes
    }
}
