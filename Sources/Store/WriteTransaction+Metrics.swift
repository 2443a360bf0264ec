import Curves
import Domain
import FoundationEssentials
import JSON

extension WriteTransaction {
    /// Appends points of an attempt and moves the cursor of the file they were read from.
    ///
    /// A point that is known already (same key, source, step and time) is ignored, so that sending a batch twice changes nothing;
    /// what that costs does not grow with the history. What is new goes out in `metric` events of at most
    /// `metricPointsPerEventMax` points, except where a better source has told of the key.
    ///
    /// - Returns: How many points were new.
    @discardableResult
    public func appendMetrics(
        attempt id: String, points: [MetricPoint], source: MetricSource = .native, cursor: MetricCursor? = nil, at: Timestamp
    ) throws -> Int {
        let tail = try metricTails.tail(of: id, in: self)
        if let cursor {
            try execute(
                "INSERT OR REPLACE INTO metric_cursor (attempt_id, path, inode, offset) VALUES (?, ?, ?, ?)",
                id, cursor.path, Int64(bitPattern: cursor.inode), cursor.offset)
        }
        let fresh = try insert(points, source, into: tail)
        var told: [(MetricPoint, BatchEntry)] = []
        var untold: [(MetricPoint, BatchEntry)] = []
        if source == .native {
            told = fresh
        } else {
            for entry in fresh {
                if tail.isToldBetter(entry.0.key, than: source) { untold.append(entry) } else { told.append(entry) }
            }
        }
        try keep(untold, isTold: false, of: tail, at: at)
        try keep(told, isTold: true, of: tail, at: at)
        tail.waiting += fresh.count
        pointsAdded += fresh.count
        if tail.waiting >= limits.metricTailPointsMax { try pack(tail, at: at) }
        return fresh.count
    }

    /// Notes values of an attempt that could not be taken.
    public func countDroppedMetrics(attempt id: String, _ count: Int) throws {
        try countDroppedMetrics(of: try metricTails.tail(of: id, in: self), count)
    }

    private func countDroppedMetrics(of tail: AttemptTail, _ count: Int) throws {
        try execute("UPDATE metric_attempt SET dropped_points = dropped_points + ? WHERE attempt_ordinal = ?", count, tail.ordinal)
    }

    /// Packs what waits of an attempt that has ended.
    public func packMetrics(attempt id: String, at: Timestamp) throws {
        try pack(try metricTails.tail(of: id, in: self), at: at)
        metricTails.forget(id)
    }

    /// Packs what waits of attempts that have ended, and lets go of packed batches that no stream will ask for any more.
    public func tidyMetrics(at: Timestamp) throws {
        let ended = try rows(
            """
            SELECT DISTINCT attempt.id FROM metric_batch JOIN attempt ON ordinal = metric_batch.attempt_ordinal
            LEFT JOIN metric_attempt ON metric_attempt.attempt_ordinal = ordinal
            WHERE finished_at_ms IS NOT NULL AND seq > coalesce(packed_seq, 0)
            """
        ) { $0.text() }
        for attempt in ended { try packMetrics(attempt: attempt, at: at) }
        let oldest = at.milliseconds - Int64(limits.metricReplayTime.inSeconds * 1000)
        let gone = try rows(
            """
            SELECT metric_batch.attempt_ordinal, max(seq) FROM metric_batch
            JOIN metric_attempt ON metric_attempt.attempt_ordinal = metric_batch.attempt_ordinal
            WHERE metric_batch.at_ms < ? AND seq <= packed_seq GROUP BY metric_batch.attempt_ordinal
            """, [oldest]
        ) { ($0.long(), $0.long()) }
        for (ordinal, seq) in gone {
            try execute("DELETE FROM metric_batch WHERE attempt_ordinal = ? AND seq <= ?", ordinal, seq)
            try execute("UPDATE metric_attempt SET dropped_seq = ? WHERE attempt_ordinal = ?", seq, ordinal)
        }
    }

    /// Takes the identifiers that a client gave to what it sent. Returns those that are new.
    public func claim(clientIDs: [String], attempt id: String) throws -> Set<String> {
        let tail = try metricTails.tail(of: id, in: self)
        var fresh: Set<String> = []
        for clientID in clientIDs {
            let sql = "INSERT OR IGNORE INTO metric_client_id (attempt_ordinal, id) VALUES (?, ?)"
            if try change(sql, [tail.ordinal, clientID]) == 1 { fresh.insert(clientID) }
        }
        return fresh
    }

    /// Puts points into the tail and returns those that were not there before.
    private func insert(_ points: [MetricPoint], _ source: MetricSource, into tail: AttemptTail) throws -> [(MetricPoint, BatchEntry)] {
        var fresh: [(MetricPoint, BatchEntry)] = []
        fresh.reserveCapacity(points.count)
        var chunks = PackedPoints(self)
        var dropped = 0
        for point in points {
            guard let series = try tail.series(point.key, source, in: self) else {
                dropped += 1
                continue
            }
            let place = Points.Place(step: Int64(point.step), time: point.at.milliseconds)
            if series.mayBePacked(place), try chunks.contains(place, series: series.id) { continue }
            guard series.insert(place, point.value) else { continue }
            fresh.append((point, BatchEntry(series: series.id, place: place, value: point.value)))
        }
        if dropped > 0 { try countDroppedMetrics(of: tail, dropped) }
        return fresh
    }

    private func keep(_ entries: [(MetricPoint, BatchEntry)], isTold: Bool, of tail: AttemptTail, at: Timestamp) throws {
        var start = 0
        while start < entries.count {
            let part = entries[start..<min(entries.count, start + limits.metricPointsPerEventMax)]
            start = part.endIndex
            let seq = try nextSequence()
            try execute(
                "INSERT INTO metric_batch (seq, attempt_ordinal, at_ms, count, is_told, data) VALUES (?, ?, ?, ?, ?, ?)",
                seq, tail.ordinal, at.milliseconds, part.count, isTold ? 1 : 0, Data(BatchCoding.encode(part.map(\.1)[...])))
            guard isTold else { continue }
            events.append(
                EventRecord(
                    seq: seq, at: at, type: "metric", experimentID: tail.experimentID, jobID: tail.jobID, attemptID: tail.attemptID,
                    payload: [:], metrics: MetricEvent(attempt: tail.number, points: part.map(\.0)[...])))
        }
    }

    /// Moves what waits into chunks, and lets go of batches that no stream will ask for.
    private func pack(_ tail: AttemptTail, at: Timestamp) throws {
        for series in tail.series.values where !series.isEmpty { try pack(series) }
        tail.packed()
        let oldest = at.milliseconds - Int64(limits.metricReplayTime.inSeconds * 1000)
        var points = 0
        let kept = try rows(
            "SELECT seq, count FROM metric_batch WHERE attempt_ordinal = ? ORDER BY seq DESC LIMIT ?",
            [tail.ordinal, limits.metricReplayBatchesMax + 1], { ($0.long(), $0.integer()) }
        ).enumerated().first { index, batch in
            points += batch.1
            return index >= limits.metricReplayBatchesMax || points > limits.metricReplayPointsMax
        }?.element.0
        let gone = try row(
            "SELECT max(seq) FROM metric_batch WHERE attempt_ordinal = ? AND (at_ms < ? OR seq <= ?)",
            [tail.ordinal, oldest, kept ?? 0], { $0.optionalLong() })
        if let gone = gone ?? nil {
            try execute("DELETE FROM metric_batch WHERE attempt_ordinal = ? AND seq <= ?", tail.ordinal, gone)
        }
        try execute(
            "UPDATE metric_attempt SET packed_seq = ?, dropped_seq = coalesce(?, dropped_seq) WHERE attempt_ordinal = ?",
            try lastEventSeq(),
            gone ?? nil, tail.ordinal)
    }

    private func pack(_ series: SeriesTail) throws {
        let points = series.points
        var start = 0
        while start < points.count {
            // The chunk that the next point belongs to, and how far it reaches.
            let chunk = try chunk(of: series.id, at: points.place(start))
            let next = try chunk.flatMap { try self.chunk(after: $0.first, series: series.id) }
            let end = next.map { points.index(notBefore: $0) } ?? points.count
            let fresh = points[start..<end]
            start = end
            if let chunk, next != nil || chunk.count < Chunk.pointsMax || fresh.place(0) <= chunk.last {
                let merged = (try packedPoints(chunk: chunk.id)).merged(with: fresh)
                try execute("DELETE FROM metric_chunk WHERE id = ?", chunk.id)
                try insertChunks(merged, series: series.id)
            } else {
                try insertChunks(fresh, series: series.id)
            }
        }
        try sumUp(points, series: series.id)
    }

    func insertChunks(_ points: Points, series: Int64) throws {
        for start in stride(from: 0, to: points.count, by: Chunk.pointsMax) {
            let piece = points[start..<min(points.count, start + Chunk.pointsMax)]
            let (first, last) = (piece.place(0), piece.place(piece.count - 1))
            try execute(
                """
                INSERT INTO metric_chunk (series_id, first_step, first_at_ms, last_step, last_at_ms, count, summary, data)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """, series, first.step, first.time, last.step, last.time, piece.count,
                Data(BlockSummary.encode(Chunk.summaries(piece))), Data(Chunk.encode(piece)))
        }
    }

    /// Adds packed points to what a series comes to.
    func sumUp(_ points: Points, series: Int64) throws {
        let numbers = points.values.lazy.filter { !$0.isNaN }
        let last = points.place(points.count - 1)
        let value = points.values[points.count - 1]
        // `min` and `max` of SQL give NULL where one side is; what is NULL here is not known yet.
        try execute(
            """
            UPDATE metric_series SET count = count + ?1, first_step = min(coalesce(first_step, ?2), ?2),
                last_value = CASE WHEN last_step IS NULL OR (last_step, last_at_ms) <= (?3, ?4) THEN ?5 ELSE last_value END,
                last_at_ms = CASE WHEN last_step IS NULL OR (last_step, last_at_ms) <= (?3, ?4) THEN ?4 ELSE last_at_ms END,
                last_step = max(coalesce(last_step, ?3), ?3),
                min = coalesce(min(min, ?6), min, ?6), max = coalesce(max(max, ?7), max, ?7)
            WHERE id = ?8
            """, points.count, points.steps[0], last.step, last.time, value.isNaN ? nil : value, numbers.min(), numbers.max(), series)
    }

    func metricKeyID(_ key: String) throws -> Int64 {
        if let id = try row("SELECT id FROM metric_key WHERE key = ?", [key], { $0.long() }) { return id }
        try execute("INSERT INTO metric_key (key) VALUES (?)", key)
        return database.lastInsertedRowID
    }
}

/// Looks points up in the chunks of the database, with the last chunk at hand: a batch that is sent again mostly lies in one.
private struct PackedPoints {
    private let transaction: WriteTransaction
    private var at: (chunk: Int64, points: Points)?

    init(_ transaction: WriteTransaction) { self.transaction = transaction }

    mutating func contains(_ place: Points.Place, series: Int64) throws -> Bool {
        guard let chunk = try transaction.chunk(of: series, at: place), chunk.first <= place, place <= chunk.last else { return false }
        if at?.chunk != chunk.id { at = (chunk.id, try transaction.packedPoints(chunk: chunk.id)) }
        return at?.points.contains(place) ?? false
    }
}

extension Double {
    /// The number, or the text `NaN`, `Infinity` or `-Infinity`, for which JSON has no numbers.
    var jsonNumber: JSONValue {
        if isFinite { return .double(self) }
        return isNaN ? "NaN" : self > 0 ? "Infinity" : "-Infinity"
    }
}
