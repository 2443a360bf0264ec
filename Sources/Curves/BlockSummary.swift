/// What up to 256 neighbouring points come to: enough to draw them from afar without reading them.
public struct BlockSummary: Sendable, Equatable {
    /// A value and where it stands.
    public struct Mark: Sendable, Equatable {
        public var place: Points.Place
        public var value: Double
    }

    public var count: Int
    public var first: Points.Place
    public var last: Points.Place
    /// The least and the greatest that are not NaN; `nil` where all are.
    public var least: Mark?
    public var greatest: Mark?
    /// The first NaN.
    public var firstNaN: Points.Place?
    /// Of the finite values; NaN where there is none.
    public var mean: Float

    init(_ points: Points, _ range: Range<Int>) {
        count = range.count
        first = points.place(range.lowerBound)
        last = points.place(range.upperBound - 1)
        var (low, high): (Int?, Int?) = (nil, nil)
        var (sum, finite) = (0.0, 0)
        for index in range {
            let value = points.values[index]
            guard !value.isNaN else {
                if firstNaN == nil { firstNaN = points.place(index) }
                continue
            }
            if low.map({ value < points.values[$0] }) ?? true { low = index }
            if high.map({ value > points.values[$0] }) ?? true { high = index }
            if value.isFinite {
                sum += value
                finite += 1
            }
        }
        least = low.map { Mark(place: points.place($0), value: points.values[$0]) }
        greatest = high.map { Mark(place: points.place($0), value: points.values[$0]) }
        mean = finite > 0 ? Float(sum / Double(finite)) : .nan
    }

    /// The summaries of a chunk as bytes.
    public static func encode(_ summaries: [BlockSummary]) -> [UInt8] {
        var writer = ByteWriter()
        var before = Points.Place(step: 0, time: 0)
        func put(_ place: Points.Place, from origin: Points.Place) {
            writer.signed(place.step &- origin.step)
            writer.signed(place.time &- origin.time)
        }
        for summary in summaries {
            writer.unsigned(UInt64(summary.count))
            put(summary.first, from: before)
            put(summary.last, from: summary.first)
            writer.byte((summary.least == nil ? 0 : 1) | (summary.firstNaN == nil ? 0 : 2))
            for mark in [summary.least, summary.greatest].compactMap({ $0 }) {
                put(mark.place, from: summary.first)
                writer.real(mark.value)
            }
            if let place = summary.firstNaN { put(place, from: summary.first) }
            writer.unsigned(UInt64(summary.mean.bitPattern))
            before = summary.last
        }
        return writer.bytes
    }

    /// Reads what `encode` wrote.
    public static func decode(_ bytes: UnsafeRawBufferPointer) throws(CurveCodingError) -> [BlockSummary] {
        var reader = ByteReader(bytes)
        var summaries: [BlockSummary] = []
        var before = Points.Place(step: 0, time: 0)
        while !reader.isAtEnd {
            let summary = try BlockSummary(&reader, after: before)
            before = summary.last
            summaries.append(summary)
        }
        return summaries
    }

    private init(_ reader: inout ByteReader, after before: Points.Place) throws(CurveCodingError) {
        count = try reader.count(max: IntegerBlock.lengthMax)
        first = try Self.place(&reader, from: before)
        last = try Self.place(&reader, from: first)
        let parts = try reader.byte()
        if parts & 1 != 0 {
            least = Mark(place: try Self.place(&reader, from: first), value: try reader.real())
            greatest = Mark(place: try Self.place(&reader, from: first), value: try reader.real())
        }
        if parts & 2 != 0 { firstNaN = try Self.place(&reader, from: first) }
        mean = Float(bitPattern: UInt32(truncatingIfNeeded: try reader.unsigned()))
    }

    private static func place(_ reader: inout ByteReader, from origin: Points.Place) throws(CurveCodingError) -> Points.Place {
        Points.Place(step: origin.step &+ (try reader.signed()), time: origin.time &+ (try reader.signed()))
    }

    /// The points that stand for the block when it is drawn: its least, its greatest and its first NaN, in order.
    public var marks: [Mark] {
        var marks = [least, greatest].compactMap { $0 }
        if marks.count == 2, marks[0] == marks[1] { marks.removeLast() }
        if let firstNaN { marks.append(Mark(place: firstNaN, value: .nan)) }
        return marks.sorted { $0.place < $1.place }
    }
}
