import Glibc
import JSON

/// Reads records from a file of concatenated JSON values, passing over what is broken.
///
/// Several values on one line and one value over several lines are read alike. After an error reading goes on behind the
/// next line feed.
public struct RecordLoader {
    /// How faults of the text are treated.
    public enum Mode: Sendable {
        /// Every error is reported, a byte order mark is accepted, and the borders of chunks do not show.
        case standard
        /// The behaviour of the script that this step comes from, defects included: after the 101st error the rest of each
        /// chunk is dropped at its next error, and a value over several lines breaks where a chunk ends inside it.
        case original
    }

    /// What was read and what was left out.
    public struct Summary: Sendable, Equatable {
        public var records = 0
        public var errors = 0
    }

    /// Bytes asked of the file at a time; the original's rule on errors is per such chunk.
    public static let chunkBytes = 8 << 20
    /// Errors after which the original drops the rest of its chunk.
    public static let originalErrorsMax = 100
    /// Bytes of the longest record; guards the memory.
    public static let recordBytesMax = 64 << 20

    /// What the loader found, in the file's order.
    public enum Event: Sendable {
        /// A value and the line on which it starts.
        case record(JSONValue, line: Int)
        case issue(DatasetIssue)
    }

    /// Takes a value that starts at an offset of a text and on a line; the offset behind the value, or `nil` for one not taken.
    public typealias Skim = (UnsafeBufferPointer<UInt8>, Int, Int) throws -> Int?

    private let path: String
    private let mode: Mode
    private let chunkBytes: Int
    private let recordBytesMax: Int

    public init(
        path: String, mode: Mode = .standard, chunkBytes: Int = RecordLoader.chunkBytes, recordBytesMax: Int = RecordLoader.recordBytesMax
    ) {
        self.path = path
        self.mode = mode
        self.chunkBytes = chunkBytes
        self.recordBytesMax = recordBytesMax
    }

    /// Calls `onEvent` with each record and each error; `onProgress` gets the bytes read so far and the size of the file.
    ///
    /// Errors of the file are `FileError`; what the closures throw ends the reading.
    ///
    /// `skim` is asked first at the start of each value: it returns where the value ends, which it then has taken itself, or `nil`.
    public func load(
        onEvent: (Event) throws -> Void, onProgress: (Int, Int) throws -> Void = { _, _ in }, skim: Skim? = nil
    ) throws -> Summary {
        let file = try FileReader(path: path)
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 16)
        defer { chunk.deallocate() }
        var scan = RecordScan(mode: mode, recordBytesMax: recordBytesMax)
        var repair = UTF8Repair()
        var bytesRead = 0
        while true {
            let count = try file.read(into: chunk)
            bytesRead += count
            let isLast = count < chunkBytes
            let bytes = UnsafeBufferPointer(rebasing: UnsafeRawBufferPointer(chunk).assumingMemoryBound(to: UInt8.self)[..<count])
            if mode == .standard, bytesRead == count, let other = ForeignFile.complaint(about: bytes) {
                throw DatasetError(.badData, "\(path) \(other)")
            }
            repair.append(bytes, isLast: isLast, to: &scan.buffer)
            scan.hasReplacements = repair.hasReplaced
            try scan.pass(isLast: isLast, onEvent, skim)
            try onProgress(bytesRead, max(bytesRead, file.size))
            if isLast { return scan.summary }
        }
    }
}

/// The text that is not consumed yet, and the place within it.
private struct RecordScan {
    let mode: RecordLoader.Mode
    let recordBytesMax: Int
    var buffer: [UInt8] = []
    var summary = RecordLoader.Summary()
    private let parser: JSONParser
    private var cursor = 0
    private var line = 1
    private var isAtStartOfFile = true
    /// True while the rest of a record that was too long is passed over.
    private var isSkipping = false
    /// True where bytes that are no UTF-8 were replaced somewhere before the end of the buffer.
    var hasReplacements = false
    /// True inside a file that is one array of records.
    private var isArray = false
    /// True once the array's closing bracket was seen.
    private var isClosed = false
    /// True once a character that is no white space was seen.
    private var hasStarted = false
    /// Bytes that the buffer must hold before a record that was incomplete is tried again: to try at every chunk would take time
    /// that grows with the square of its size.
    private var retryBytes = 0

    init(mode: RecordLoader.Mode, recordBytesMax: Int) {
        self.mode = mode
        self.recordBytesMax = recordBytesMax
        var options = JSONParser.Options.python
        // Python's decoder gives up at about a thousand levels.
        if mode == .original { options.depthMax = 990 } else { options.rejectsDuplicateKeys = true }
        parser = JSONParser(options: options)
    }

    mutating func pass(isLast: Bool, _ onEvent: (RecordLoader.Event) throws -> Void, _ skim: RecordLoader.Skim?) throws {
        if !isLast, buffer.count < retryBytes, buffer.count <= recordBytesMax { return }
        retryBytes = 0
        // The buffer is moved out for the time of the scan, so that reading it and changing `self` do not overlap.
        let text = buffer
        buffer = []
        if mode == .standard, isAtStartOfFile, text.starts(with: [0xEF, 0xBB, 0xBF]) { cursor = 3 }
        if mode == .standard, !hasStarted, let first = text[cursor...].first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }) {
            hasStarted = true
            isArray = first == UInt8(ascii: "[")
        }
        isAtStartOfFile = isAtStartOfFile && text.isEmpty
        try text.withUnsafeBufferPointer { bytes in
            if isSkipping { skipLine(in: bytes) }
            while try step(in: bytes, isLast: isLast, onEvent, skim) {}
        }
        if isLast, isArray, !isClosed, summary.errors == 0 {
            summary.errors += 1
            try onEvent(
                .issue(DatasetIssue(line: line, detail: "the file ends inside its array of records: ']' is missing; it is cut off")))
        }
        buffer = cursor == 0 ? text : Array(text[cursor...])
        cursor = 0
    }

    /// Reads one value or passes over one error; false where more text is needed.
    private mutating func step(
        in bytes: UnsafeBufferPointer<UInt8>, isLast: Bool, _ onEvent: (RecordLoader.Event) throws -> Void, _ skim: RecordLoader.Skim?
    ) throws -> Bool {
        skipWhitespace(in: bytes)
        guard cursor < bytes.count else { return false }
        if let skim, !hasReplacements, let end = try skim(bytes, cursor, line) {
            cursor = end
            summary.records += 1
            return true
        }
        let parsed: Result<(value: JSONValue, end: Int), JSONError>
        do throws(JSONError) {
            parsed = .success(try parser.value(in: bytes, at: cursor))
        } catch {
            parsed = .failure(error)
        }
        switch parsed {
        case .failure(let failure):
            return try recover(from: failure, in: bytes, isLast: isLast, onEvent)
        case .success(let (value, end)):
            // A number that touches the end of the chunk may go on in the next one; the original did not see that.
            if mode == .standard, !isLast, end == bytes.count, value.double != nil { return false }
            let start = line
            if mode == .standard {
                line += Self.lineFeeds(in: bytes[cursor..<end])
                if hasReplacements, Self.holdsReplacement(bytes[cursor..<end]) {
                    try onEvent(.issue(DatasetIssue(line: start, detail: "the record holds bytes that are not UTF-8")))
                }
            }
            cursor = end
            summary.records += 1
            try onEvent(.record(value, line: start))
            return true
        }
    }

    /// Goes on behind the line of an error; false where the error may vanish with more text, or ends the scan.
    private mutating func recover(
        from failure: JSONError, in bytes: UnsafeBufferPointer<UInt8>, isLast: Bool, _ onEvent: (RecordLoader.Event) throws -> Void
    ) throws -> Bool {
        let lineFeed = Self.lineFeed(in: bytes, from: cursor)
        let isIncomplete = lineFeed == nil || (mode == .standard && failure.isTruncation)
        if isIncomplete, !isLast, bytes.count - cursor <= recordBytesMax {
            if mode == .standard { retryBytes = (bytes.count - cursor) * 2 }
            return false
        }
        summary.errors += 1
        let detail: String
        if isIncomplete, !isLast {
            detail = "a record of more than \(recordBytesMax) bytes"
        } else if lineFeed == nil, failure.isTruncation {
            detail = "the file ends inside a record: \(failure.message)"
        } else {
            detail = "not JSON: \(failure.message)"
        }
        try onEvent(.issue(DatasetIssue(line: line, detail: detail)))
        isSkipping = lineFeed == nil
        skipLine(in: bytes)
        if mode == .original, summary.errors > RecordLoader.originalErrorsMax, lineFeed != nil {
            let limit = RecordLoader.originalErrorsMax
            try onEvent(.issue(DatasetIssue(line: line, detail: "more than \(limit) errors; the rest of the chunk is dropped")))
            cursor = bytes.count
        }
        return true
    }

    private mutating func skipLine(in bytes: UnsafeBufferPointer<UInt8>) {
        guard let lineFeed = Self.lineFeed(in: bytes, from: cursor) else { return cursor = bytes.count }
        cursor = lineFeed + 1
        line += 1
        isSkipping = false
    }

    private mutating func skipWhitespace(in bytes: UnsafeBufferPointer<UInt8>) {
        while cursor < bytes.count {
            let length = PythonWhitespace.length(in: bytes, at: cursor)
            if length == 0 {
                guard isArray, Self.arrayMarks.contains(bytes[cursor]) else { return }
                isClosed = bytes[cursor] == UInt8(ascii: "]")
                cursor += 1
                continue
            }
            if bytes[cursor] == 0x0A { line += 1 }
            cursor += length
        }
    }

    /// The place of the next line feed.
    private static func lineFeed(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        guard let base = bytes.baseAddress, let found = memchr(base + start, 0x0A, bytes.count - start) else { return nil }
        return UnsafeRawPointer(base).distance(to: UnsafeRawPointer(found))
    }

    private static func lineFeeds(in bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
        bytes.reduce(0) { $1 == 0x0A ? $0 + 1 : $0 }
    }

    /// What stands between the records of an array.
    private static let arrayMarks = [UInt8(ascii: "["), UInt8(ascii: ","), UInt8(ascii: "]")]

    /// True where U+FFFD stands in the text.
    private static func holdsReplacement(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        var last: (UInt8, UInt8) = (0, 0)
        for byte in bytes {
            if last == (0xEF, 0xBF), byte == 0xBD { return true }
            last = (last.1, byte)
        }
        return false
    }
}
