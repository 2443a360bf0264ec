import Curves

/// Where a chunk stands in its series.
struct ChunkHead {
    let id: Int64
    let first: Points.Place
    let last: Points.Place
    let count: Int
}

extension ReadTransaction {
    /// The chunk that a point at `place` is in or would go into: the last that begins at or before it, else the first; `nil` where there is none.
    func chunk(of series: Int64, at place: Points.Place) throws -> ChunkHead? {
        let columns = "SELECT id, first_step, first_at_ms, last_step, last_at_ms, count FROM metric_chunk WHERE series_id = ?"
        return try row(
            columns + " AND (first_step, first_at_ms) <= (?, ?) ORDER BY first_step DESC, first_at_ms DESC LIMIT 1",
            [series, place.step, place.time], ChunkHead.init)
            ?? row(columns + " ORDER BY first_step, first_at_ms LIMIT 1", [series], ChunkHead.init)
    }

    /// Where the chunk after the one that begins at `first` begins.
    func chunk(after first: Points.Place, series: Int64) throws -> Points.Place? {
        try row(
            """
            SELECT first_step, first_at_ms FROM metric_chunk WHERE series_id = ? AND (first_step, first_at_ms) > (?, ?)
            ORDER BY first_step, first_at_ms LIMIT 1
            """, [series, first.step, first.time]
        ) { Points.Place(step: $0.long(), time: $0.long()) }
    }

    /// The points of a chunk; those of one whose points were let go are the marks of its summaries.
    func packedPoints(chunk: Int64) throws -> Points {
        try row("SELECT data, summary FROM metric_chunk WHERE id = ?", [chunk]) { try $0.chunk() } ?? Points()
    }

    /// The batches of an attempt that are in no chunk yet, in order.
    func waitingBatches(ordinal: Int64) throws -> [[BatchEntry]] {
        try rows(
            """
            SELECT data FROM metric_batch WHERE attempt_ordinal = ?1
                AND seq > coalesce((SELECT packed_seq FROM metric_attempt WHERE attempt_ordinal = ?1), 0) ORDER BY seq
            """, [ordinal]
        ) { try $0.batch() }
    }
}

extension ChunkHead {
    init(_ row: inout ColumnReader) {
        id = row.long()
        first = Points.Place(step: row.long(), time: row.long())
        last = Points.Place(step: row.long(), time: row.long())
        count = row.integer()
    }
}

extension ColumnReader {
    /// Reads the columns `data` and `summary` of a chunk.
    mutating func chunk() throws -> Points {
        var points = Points()
        let isPresent = try withBytes { bytes in
            try Chunk.decode(bytes, into: &points)
            return true
        }
        if isPresent == true {
            skip()
            return points
        }
        for mark in try summaries().flatMap(\.marks) { points.append(mark.place, mark.value) }
        return points
    }

    mutating func summaries() throws -> [BlockSummary] { try withBytes { try BlockSummary.decode($0) } ?? [] }

    mutating func batch() throws -> [BatchEntry] { try withBytes { try BatchCoding.decode($0) } ?? [] }
}
