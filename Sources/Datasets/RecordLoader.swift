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
    public static let recordBytesMax = 256 << 20

    /// What the loader found, in the file's order.
    public enum Event: Sendable {
        /// A value and the line on which it starts.
        case record(JSONValue, line: Int)
        case issue(DatasetIssue)
    }

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
    public func load(onEvent: (Event) throws -> Void, onProgress: (Int, Int) throws -> Void = { _, _ in }) throws -> Summary {
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
            repair.append(
                UnsafeBufferPointer(rebasing: UnsafeRawBufferPointer(chunk).assumingMemoryBound(to: UInt8.self)[..<count]),
                isLast: isLast, to: &scan.buffer)
            try scan.pass(isLast: isLast, onEvent)
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

    init(mode: RecordLoader.Mode, recordBytesMax: Int) {
        self.mode = mode
        self.recordBytesMax = recordBytesMax
        var options = JSONParser.Options.python
        // Python's decoder gives up at about a thousand levels.
        if mode == .original { options.depthMax = 990 }
        parser = JSONParser(options: options)
    }

    mutating func pass(isLast: Bool, _ onEvent: (RecordLoader.Event) throws -> Void) throws {
        // The buffer is moved out for the time of the scan, so that reading it and changing `self` do not overlap.
        let text = buffer
        buffer = []
        if mode == .standard, isAtStartOfFile, text.starts(with: [0xEF, 0xBB, 0xBF]) { cursor = 3 }
        isAtStartOfFile = isAtStartOfFile && text.isEmpty
        try text.withUnsafeBufferPointer { bytes in
            if isSkipping { skipLine(in: bytes) }
            while try step(in: bytes, isLast: isLast, onEvent) {}
        }
        buffer = cursor == 0 ? text : Array(text[cursor...])
        cursor = 0
    }

    /// Reads one value or passes over one error; false where more text is needed.
    private mutating func step(
        in bytes: UnsafeBufferPointer<UInt8>, isLast: Bool, _ onEvent: (RecordLoader.Event) throws -> Void
    ) throws -> Bool {
        skipWhitespace(in: bytes)
        guard cursor < bytes.count else { return false }
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
            if mode == .standard { line += Self.lineFeeds(in: bytes[cursor..<end]) }
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
        let lineFeed = bytes[cursor...].firstIndex(of: 0x0A)
        let isIncomplete = lineFeed == nil || (mode == .standard && failure.isTruncation)
        if isIncomplete, !isLast, bytes.count - cursor <= recordBytesMax { return false }
        summary.errors += 1
        let detail: String
        if isIncomplete, !isLast {
            detail = "a record of more than \(recordBytesMax) bytes"
        } else if lineFeed == nil {
            detail = "the file ends inside a record, or with text that is no JSON: \(failure.message)"
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
        guard let lineFeed = bytes[cursor...].firstIndex(of: 0x0A) else { return cursor = bytes.count }
        cursor = lineFeed + 1
        line += 1
        isSkipping = false
    }

    private mutating func skipWhitespace(in bytes: UnsafeBufferPointer<UInt8>) {
        while cursor < bytes.count {
            let length = PythonWhitespace.length(in: bytes, at: cursor)
            if length == 0 { return }
            if bytes[cursor] == 0x0A { line += 1 }
            cursor += length
        }
    }

    private static func lineFeeds(in bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
        bytes.reduce(0) { $1 == 0x0A ? $0 + 1 : $0 }
    }
}
