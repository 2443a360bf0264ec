import Curves

/// A point in a batch: whose it is, where it stands and what it says.
struct BatchEntry {
    let series: Int64
    let place: Points.Place
    let value: Double
}

/// The stored form of points as they came: little work to write, and small enough for the short time they stay.
enum BatchCoding {
    static func encode(_ entries: ArraySlice<BatchEntry>) -> [UInt8] {
        var writer = ByteWriter()
        var before = BatchEntry(series: 0, place: Points.Place(step: 0, time: 0), value: 0)
        for entry in entries {
            writer.signed(entry.series - before.series)
            writer.signed(entry.place.step &- before.place.step)
            writer.signed(entry.place.time &- before.place.time)
            writer.real(entry.value)
            before = entry
        }
        return writer.bytes
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(CurveCodingError) -> [BatchEntry] {
        var reader = ByteReader(bytes)
        var entries: [BatchEntry] = []
        var before = BatchEntry(series: 0, place: Points.Place(step: 0, time: 0), value: 0)
        while !reader.isAtEnd {
            let series = before.series &+ (try reader.signed())
            let place = Points.Place(
                step: before.place.step &+ (try reader.signed()), time: before.place.time &+ (try reader.signed()))
            before = BatchEntry(series: series, place: place, value: try reader.real())
            entries.append(before)
        }
        return entries
    }
}
