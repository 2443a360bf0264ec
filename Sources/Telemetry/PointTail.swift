import Domain

/// Reads points from a file that grows, from a remembered place on. Blocks: call it off the loop.
public protocol PointTail: Sendable {
    var path: String { get }
    /// The file that `offset` counts in; 0 before the first read.
    var inode: UInt64 { get }
    /// Bytes that were read and need not be read again.
    var offset: Int64 { get }

    /// The points after the last read, of a bounded part of the file.
    ///
    /// - Parameter seconds: the time of points that name none, in seconds since 1970.
    mutating func readPoints(receivedAt seconds: Double) throws(TailError) -> PointPiece
}

/// What one read of a file found.
public struct PointPiece: Sendable, Equatable {
    public var points: [FollowedPoint] = []
    /// What a journal of generations tells.
    public var entries: [GenerationEntry] = []
    /// Values, lines and records that could not be taken.
    public var dropped = 0
    /// True where more may follow at once.
    public var hasMore = false

    public init() {}
}

/// `metrics.jsonl`: one JSON object a line.
public struct MetricLineTail: PointTail {
    private var lines: LineTail

    public init(path: String, inode: UInt64 = 0, offset: Int64 = 0) { lines = LineTail(path: path, inode: inode, offset: offset) }

    public var path: String { lines.path }
    public var inode: UInt64 { lines.inode }
    public var offset: Int64 { lines.offset }

    /// The points of the lines that were added; for each that names no time, `seconds` is it.
    public mutating func readPoints(receivedAt seconds: Double) throws(TailError) -> PointPiece {
        let found = try lines.read()
        var piece = PointPiece()
        piece.dropped = found.skipped
        piece.hasMore = found.hasMore
        for line in found.lines {
            let reading = MetricLine.parse(line, receivedAt: seconds)
            piece.points += reading.points
            piece.dropped += reading.dropped
        }
        return piece
    }
}

/// The journal of a generation; see `GenerationEntry`.
public struct GenerationJournalTail: PointTail {
    private var lines: LineTail

    public init(path: String, inode: UInt64 = 0, offset: Int64 = 0) { lines = LineTail(path: path, inode: inode, offset: offset) }

    public var path: String { lines.path }
    public var inode: UInt64 { lines.inode }
    public var offset: Int64 { lines.offset }

    /// The entries of the lines that were added; a line that is none is counted.
    public mutating func readPoints(receivedAt seconds: Double) throws(TailError) -> PointPiece {
        let found = try lines.read()
        var piece = PointPiece()
        piece.hasMore = found.hasMore
        piece.dropped = found.skipped
        for line in found.lines {
            if let entry = GenerationEntry(line: line) { piece.entries.append(entry) } else { piece.dropped += 1 }
        }
        return piece
    }
}

/// What a trainer prints, where nothing better tells of it.
public struct LogTail: PointTail {
    private var lines: LineTail
    private var reader = LogLineReader()

    public init(path: String, inode: UInt64 = 0, offset: Int64 = 0) { lines = LineTail(path: path, inode: inode, offset: offset) }

    public var path: String { lines.path }
    public var inode: UInt64 { lines.inode }
    public var offset: Int64 { lines.offset }

    /// The points of the lines that were added, as of `seconds`.
    public mutating func readPoints(receivedAt seconds: Double) throws(TailError) -> PointPiece {
        let found = try lines.read()
        var piece = PointPiece()
        piece.hasMore = found.hasMore
        for line in found.lines {
            // A progress bar writes over its line again and again; only what it says last still stands.
            for part in line.split(separator: UInt8(ascii: "\r")).suffix(TelemetryLimits.overwritesPerLineMax) {
                piece.points += reader.read(part, receivedAt: seconds)
            }
        }
        return piece
    }
}
