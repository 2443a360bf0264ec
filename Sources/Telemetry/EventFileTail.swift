/// Follows an event file of TensorBoard: records of TFRecord framing, each an `Event` with scalars.
///
/// A record is its length (8 bytes), the length's masked CRC, the data, and the data's masked CRC (tensorflow/tsl,
/// lib/io/record_writer.cc). A record without its end is being written and waits. Damaged data is counted and left out; after a damaged
/// length the next place with a sound one is looked for.
public struct EventFileTail: PointTail {
    private static let headerBytes = 12
    private static let frameBytes = 16

    public let path: String
    public private(set) var inode: UInt64
    public private(set) var offset: Int64
    private let prefix: String

    /// - Parameter prefix: stands before each key that does not begin with it.
    public init(path: String, prefix: String = "", inode: UInt64 = 0, offset: Int64 = 0) {
        self.path = path
        self.prefix = prefix
        self.inode = inode
        self.offset = offset
    }

    /// The scalars of the records that were added.
    public mutating func readPoints(receivedAt seconds: Double) throws(TailError) -> PointPiece {
        guard let file = try FollowedFile.open(path, inode: &inode, offset: &offset) else { return PointPiece() }
        var limit = TelemetryLimits.readBytesMax
        while true {
            let bytes = try file.bytes(at: offset, limit: Int(min(Int64(limit), file.size - offset)))
            var piece = PointPiece()
            let (used, needed) = read(bytes, into: &piece, receivedAt: seconds)
            if used == 0, needed > bytes.count, needed <= TelemetryLimits.recordBytesMax + Self.frameBytes,
                Int64(needed) <= file.size - offset
            {
                limit = needed
                continue
            }
            offset += Int64(used)
            piece.hasMore = used > 0 && offset < file.size
            return piece
        }
    }

    /// Reads whole records. Returns the bytes that are done with, and how many the next record needs.
    private func read(_ bytes: [UInt8], into piece: inout PointPiece, receivedAt seconds: Double) -> (used: Int, needed: Int) {
        var place = 0
        while place + Self.headerBytes <= bytes.count {
            guard let length = Self.length(bytes[place..<(place + Self.headerBytes)]) else {
                // Skips to what can be a record again; until there is one, waits for more to look through.
                piece.dropped += 1
                var next = place + 1
                while next + Self.headerBytes <= bytes.count, Self.length(bytes[next..<(next + Self.headerBytes)]) == nil { next += 1 }
                place = next
                continue
            }
            let whole = length + Self.frameBytes
            guard place + whole <= bytes.count else { return (place, whole) }
            let data = bytes[(place + Self.headerBytes)..<(place + Self.headerBytes + length)]
            if bytes[(place + Self.headerBytes + length)..<(place + whole)].littleEndianNumber == UInt64(Checksum.masked(data)) {
                let event = TensorBoardEvent.parse(data, receivedAt: seconds)
                take(event.points, into: &piece)
                piece.dropped += event.dropped
            } else {
                piece.dropped += 1
            }
            place += whole
        }
        return (place, place + Self.headerBytes)
    }

    private func take(_ points: [FollowedPoint], into piece: inout PointPiece) {
        guard !prefix.isEmpty else { return piece.points += points }
        for var point in points {
            if !point.key.hasPrefix(prefix) { point.key = prefix + point.key }
            if MetricLine.isKey(point.key) { piece.points.append(point) } else { piece.dropped += 1 }
        }
    }

    /// The length in a header whose checksum is right.
    private static func length(_ header: ArraySlice<UInt8>) -> Int? {
        let length = header.prefix(8)
        guard header.dropFirst(8).littleEndianNumber == UInt64(Checksum.masked(length)) else { return nil }
        let value = length.littleEndianNumber
        return value <= UInt64(TelemetryLimits.recordBytesMax) ? Int(value) : nil
    }
}
