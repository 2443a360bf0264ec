/// The stored form of a stretch of a series: columns in blocks of 256, and beside them what each block comes to.
public enum Chunk {
    /// Points that a full chunk holds.
    public static let pointsMax = 4096
    /// More than a chunk holds while points are put in between; what no writer writes.
    private static let readableMax = 1 << 20
    private static let version: UInt8 = 1

    /// The points as bytes, exact to the last bit of each value.
    public static func encode(_ points: Points) -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(version)
        writer.unsigned(UInt64(points.count))
        for block in blocks(points.count) {
            IntegerBlock.encode(Array(points.steps[block]), into: &writer)
            IntegerBlock.encode(Array(points.times[block]), into: &writer)
            ValueBlock.encode(Array(points.values[block]), into: &writer)
        }
        return writer.bytes
    }

    /// Appends the points that `bytes` hold.
    public static func decode(_ bytes: UnsafeRawBufferPointer, into points: inout Points) throws(CurveCodingError) {
        var reader = ByteReader(bytes)
        guard try reader.byte() == version else { throw CurveCodingError.malformed }
        let count = try reader.count(max: readableMax)
        for block in blocks(count) {
            try IntegerBlock.decode(&reader, count: block.count, into: &points.steps)
            try IntegerBlock.decode(&reader, count: block.count, into: &points.times)
            try ValueBlock.decode(&reader, count: block.count, into: &points.values)
        }
    }

    /// What each block of `points` comes to.
    public static func summaries(_ points: Points) -> [BlockSummary] { blocks(points.count).map { BlockSummary(points, $0) } }

    private static func blocks(_ count: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: IntegerBlock.lengthMax).map { $0..<min(count, $0 + IntegerBlock.lengthMax) }
    }
}
