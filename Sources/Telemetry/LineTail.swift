import Glibc

/// Reads the complete lines that a program appends to a file, from a remembered place on.
///
/// A last line without its end waits until it is complete. A file that was replaced or cut short is read from its start, which
/// shows in its inode and its length. Blocks: call it off the loop.
public struct LineTail: Sendable {
    public let path: String
    /// The file that `offset` counts in; 0 before the first read.
    public private(set) var inode: UInt64
    /// Bytes up to the end of the last complete line that was read.
    public private(set) var offset: Int64

    /// - Parameters:
    ///   - inode: of the file that was followed before; 0 for none.
    ///   - offset: how far it had been read.
    public init(path: String, inode: UInt64 = 0, offset: Int64 = 0) {
        self.path = path
        self.inode = inode
        self.offset = offset
    }

    /// What one read found.
    public struct Piece: Sendable {
        public var lines: [ArraySlice<UInt8>] = []
        /// Lines longer than the limit, which were left out.
        public var skipped = 0
        /// True where more complete lines may follow at once.
        public var hasMore = false
    }

    /// The complete lines after the last read, at most `TelemetryLimits.readBytesMax` bytes of them; none where there is no file.
    public mutating func read() throws(TailError) -> Piece {
        guard let file = try FollowedFile.open(path, inode: &inode, offset: &offset) else { return Piece() }
        return try readLines(file)
    }

    private mutating func readLines(_ file: borrowing FollowedFile) throws(TailError) -> Piece {
        var piece = Piece()
        var limit = TelemetryLimits.readBytesMax
        while true {
            let bytes = try file.bytes(at: offset, limit: min(limit, Int(file.size - offset)))
            guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
                // No line ends here: either it is still being written, or it is longer than what was read.
                guard bytes.count == limit else { return piece }
                guard limit <= TelemetryLimits.lineBytesMax else { return try skipLine(file) }
                limit = TelemetryLimits.lineBytesMax + 1
                continue
            }
            for line in bytes[...end].split(separator: UInt8(ascii: "\n")) {
                if line.count <= TelemetryLimits.lineBytesMax { piece.lines.append(line) } else { piece.skipped += 1 }
            }
            offset += Int64(end + 1)
            piece.hasMore = offset < file.size
            return piece
        }
    }

    /// Moves past a line that is too long; stays before it while its end is not written.
    private mutating func skipLine(_ file: borrowing FollowedFile) throws(TailError) -> Piece {
        var place = offset
        while place < file.size {
            let bytes = try file.bytes(at: place, limit: TelemetryLimits.readBytesMax)
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                offset = place + Int64(end + 1)
                return Piece(skipped: 1, hasMore: offset < file.size)
            }
            if bytes.isEmpty { break }
            place += Int64(bytes.count)
        }
        return Piece()
    }
}

/// Why a file could not be followed.
public struct TailError: Error, Sendable, Equatable, CustomStringConvertible {
    public var path: String
    public var errorNumber: Int32
    public var description: String { "\(path): \(String(cString: strerror(errorNumber)))" }
}
