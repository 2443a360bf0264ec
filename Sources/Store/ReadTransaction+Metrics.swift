import Domain

extension ReadTransaction {
    /// How far a file of an attempt was read; `nil` before its first line.
    public func metricCursor(attempt: String, path: String) throws -> MetricCursor? {
        try row("SELECT path, inode, offset FROM metric_cursor WHERE attempt_id = ? AND path = ?", [attempt, path]) {
            MetricCursor(path: $0.text(), inode: UInt64(bitPattern: $0.long()), offset: $0.long())
        }
    }

    /// The part of each attempt's points that belongs to the job's curve.
    ///
    /// An attempt that continued from step s takes the place of what earlier attempts wrote after s; one that began anew takes
    /// the place of all of it. An attempt that has written nothing takes no place. Only of trainings is it known where an attempt continued;
    /// another program that keeps its own state goes on where its first point stands.
    private func curveParts(job: String, attempt: Int?) throws -> [CurvePart] {
        let sql = """
            SELECT ordinal, number, CASE WHEN resumed_from_step IS NULL AND (SELECT kind FROM job WHERE id = job_id) <> 'train'
                THEN (SELECT min(step) FROM metric WHERE attempt_ordinal = ordinal) - 1 ELSE resumed_from_step END
            FROM attempt WHERE job_id = ? AND EXISTS (SELECT 1 FROM metric WHERE attempt_ordinal = attempt.ordinal) ORDER BY number DESC
            """
        let attempts = try rows(sql, [job]) { (ordinal: $0.long(), number: $0.integer(), resumed: $0.optionalInteger()) }
        if let attempt {
            return attempts.filter { $0.number == attempt }.map { CurvePart(ordinal: $0.ordinal, attempt: $0.number, lastStep: .max) }
        }
        var parts: [CurvePart] = []
        var lastStep = Int.max
        for attempt in attempts where lastStep >= 0 {
            parts.append(CurvePart(ordinal: attempt.ordinal, attempt: attempt.number, lastStep: lastStep))
            lastStep = min(lastStep, attempt.resumed ?? -1)
        }
        return parts.reversed()
    }

    /// A job's curve: every step once, in order, over all attempts or of one.
    ///
    /// - Parameters:
    ///   - attempt: The number of an attempt to look at alone.
    ///   - points: At most so many, the least and greatest of each stretch among them; `nil` for all.
    public func metricPoints(job: String, key: String, attempt: Int? = nil, points: Int? = nil) throws -> [CurvePoint] {
        guard let keyID = try row("SELECT id FROM metric_key WHERE key = ?", [key], { $0.long() }) else { return [] }
        let sql = """
            SELECT step, at_ms, value FROM metric WHERE attempt_ordinal = ? AND key_id = ? AND step <= ? ORDER BY step, at_ms
            """
        var curve: [CurvePoint] = []
        for part in try curveParts(job: job, attempt: attempt) {
            let fresh = try rows(sql, [part.ordinal, keyID, part.lastStep]) {
                CurvePoint(step: $0.integer(), at: $0.timestamp(), value: $0.optionalReal() ?? .nan, attempt: part.attempt)
            }
            curve = Self.joining(curve, fresh)
        }
        return points.map { curve.downsampled(to: $0) } ?? curve
    }

    /// Merges two runs that are sorted by step; of points at one step the later one stays.
    private static func joining(_ earlier: [CurvePoint], _ later: [CurvePoint]) -> [CurvePoint] {
        var joined: [CurvePoint] = []
        joined.reserveCapacity(earlier.count + later.count)
        func append(_ point: CurvePoint) {
            if joined.last?.step == point.step { joined[joined.count - 1] = point } else { joined.append(point) }
        }
        var rest = earlier[...]
        for point in later {
            while let first = rest.first, first.step <= point.step {
                append(first)
                rest.removeFirst()
            }
            append(point)
        }
        rest.forEach(append)
        return joined
    }

    /// What series a job has, by key.
    public func metricKeys(job: String) throws -> [MetricKeySummary] {
        let aggregate = """
            SELECT key, key_id, count(*), min(step), max(step), min(value), max(value) FROM metric JOIN metric_key ON metric_key.id = key_id
            WHERE attempt_ordinal = ? AND step <= ? GROUP BY key_id
            """
        let last = """
            SELECT step, at_ms, value FROM metric WHERE attempt_ordinal = ? AND key_id = ? AND step <= ?
            ORDER BY step DESC, at_ms DESC LIMIT 1
            """
        var summaries: [String: MetricKeySummary] = [:]
        for part in try curveParts(job: job, attempt: nil) {
            for fresh in try rows(aggregate, [part.ordinal, part.lastStep], { MetricAggregate(&$0) }) {
                let end = try row(last, [part.ordinal, fresh.keyID, part.lastStep]) {
                    ($0.integer(), $0.timestamp(), $0.optionalReal() ?? .nan)
                }
                guard let end else { continue }
                var summary =
                    summaries[fresh.key]
                    ?? MetricKeySummary(
                        key: fresh.key, count: 0, firstStep: fresh.firstStep, lastStep: end.0, lastValue: end.2, lastAt: end.1, min: nil,
                        max: nil)
                summary.count += fresh.count
                summary.firstStep = Swift.min(summary.firstStep, fresh.firstStep)
                if end.0 >= summary.lastStep { (summary.lastStep, summary.lastAt, summary.lastValue) = end }
                summary.min = [summary.min, fresh.min].compactMap { $0 }.min()
                summary.max = [summary.max, fresh.max].compactMap { $0 }.max()
                summaries[fresh.key] = summary
            }
        }
        return summaries.values.sorted { $0.key < $1.key }
    }
}

/// What an attempt adds to its job's curves: its points up to a step.
private struct CurvePart {
    let ordinal: Int64
    let attempt: Int
    let lastStep: Int
}

private struct MetricAggregate {
    let key: String
    let keyID: Int64
    let count: Int
    let firstStep: Int
    let min: Double?
    let max: Double?

    init(_ row: inout ColumnReader) {
        key = row.text()
        keyID = row.long()
        count = row.integer()
        firstStep = row.integer()
        _ = row.integer()
        min = row.optionalReal()
        max = row.optionalReal()
    }
}
