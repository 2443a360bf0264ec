import Curves
import Domain

/// Puts a job's curves together from chunks and from what waits to be packed, in one consistent state of the database.
final class CurveReader {
    /// Above so many points for each one that is asked for, summaries stand in for the points: each stretch then holds whole blocks.
    private static let pointsPerMark = 256

    private let transaction: ReadTransaction
    private let job: String
    private var waiting: [Int64: [Int64: Points]] = [:]
    private var attemptRows: [AttemptRow]?
    private var seriesRows: [Int64: [String: [Series]]] = [:]

    init(_ transaction: ReadTransaction, job: String) {
        self.transaction = transaction
        self.job = job
    }

    /// What an attempt adds to its job's curves: its points up to a step.
    struct Part {
        let ordinal: Int64
        let attempt: Int
        let lastStep: Int64
    }

    /// One key of one attempt.
    struct Series {
        let id: Int64
        let key: String
        let source: MetricSource
        let count: Int
        let firstStep: Int64?
        let lastStep: Int64?
        let lastAt: Int64?
        let lastValue: Double?
        let min: Double?
        let max: Double?

        static let columns = "metric_series.id, key, source, count, first_step, last_step, last_at_ms, last_value, min, max"

        init(_ row: inout ColumnReader) {
            id = row.long()
            key = row.text()
            source = MetricSource(rawValue: row.integer()) ?? .log
            count = row.integer()
            firstStep = row.optionalLong()
            lastStep = row.optionalLong()
            lastAt = row.optionalLong()
            lastValue = row.optionalReal()
            min = row.optionalReal()
            max = row.optionalReal()
        }
    }

    // MARK: Parts

    private struct AttemptRow {
        let ordinal: Int64
        let number: Int
        let resumedFromStep: Int64?
        /// Whether the program keeps its own state, so that only its points tell where it went on.
        let goesOnByItself: Bool
    }

    /// The job's attempts that have written something, the newest first.
    private func attempts() throws -> [AttemptRow] {
        if let known = attemptRows { return known }
        let sql = """
            SELECT ordinal, number, resumed_from_step, (SELECT kind FROM job WHERE id = job_id) <> 'train'
            FROM attempt WHERE job_id = ? AND EXISTS (SELECT 1 FROM metric_series WHERE attempt_ordinal = ordinal) ORDER BY number DESC
            """
        let rows = try transaction.rows(sql, [job]) {
            AttemptRow(ordinal: $0.long(), number: $0.integer(), resumedFromStep: $0.optionalLong(), goesOnByItself: $0.flag())
        }
        attemptRows = rows
        return rows
    }

    /// The part of each attempt's points that belongs to the job's curve of a key.
    ///
    /// An attempt that continued from step s takes the place of what earlier attempts wrote after s; one that began anew takes
    /// the place of all of it. An attempt that has written nothing takes no place. Only of trainings is it known where an attempt continued;
    /// another program that keeps its own state goes on where its first point of the key stands. Of devices' readings nothing gives way.
    func parts(key: String, attempt: Int? = nil) throws -> [Part] {
        let attempts = try attempts()
        if let attempt {
            return attempts.filter { $0.number == attempt }.map { Part(ordinal: $0.ordinal, attempt: $0.number, lastStep: .max) }
        }
        if DeviceKeys.contains(key) { return attempts.reversed().map { Part(ordinal: $0.ordinal, attempt: $0.number, lastStep: .max) } }
        var parts: [Part] = []
        var lastStep = Int64.max
        for (index, row) in attempts.enumerated() where lastStep >= 0 {
            parts.append(Part(ordinal: row.ordinal, attempt: row.number, lastStep: lastStep))
            guard index + 1 < attempts.count else { break }
            if let resumed = row.resumedFromStep {
                lastStep = min(lastStep, resumed)
            } else if !row.goesOnByItself {
                lastStep = -1
            } else if let first = try firstStep(row.ordinal, key) {
                lastStep = min(lastStep, first - 1)
            }
        }
        return parts.reversed()
    }

    /// Where an attempt's points of a key begin; `nil` where it has none.
    private func firstStep(_ ordinal: Int64, _ key: String) throws -> Int64? {
        let series = try allSeries(ordinal)[key] ?? []
        let waiting = try waitingPoints(ordinal)
        return series.flatMap { [$0.firstStep, waiting[$0.id]?.steps.first] }.compactMap { $0 }.min()
    }

    /// The series of an attempt by key, the better source first.
    private func allSeries(_ ordinal: Int64) throws -> [String: [Series]] {
        if let known = seriesRows[ordinal] { return known }
        let rows = try transaction.rows(
            "SELECT \(Series.columns) FROM metric_series JOIN metric_key ON metric_key.id = key_id WHERE attempt_ordinal = ? ORDER BY source",
            [ordinal], Series.init)
        let series = Dictionary(grouping: rows, by: \.key)
        seriesRows[ordinal] = series
        return series
    }

    /// The points of an attempt that are in no chunk yet, by series.
    private func waitingPoints(_ ordinal: Int64) throws -> [Int64: Points] {
        if let known = waiting[ordinal] { return known }
        var tails: [Int64: SeriesTail] = [:]
        for entry in try transaction.waitingBatches(ordinal: ordinal).joined() {
            let tail = tails[entry.series] ?? SeriesTail(id: entry.series, packedEnd: nil)
            tails[entry.series] = tail
            tail.insert(entry.place, entry.value)
        }
        let points = tails.mapValues(\.points)
        waiting[ordinal] = points
        return points
    }

    /// The best series of a key, or that of one source.
    private func series(_ part: Part, _ query: CurveQuery) throws -> Series? {
        try transaction.row(
            """
            SELECT \(Series.columns) FROM metric_series JOIN metric_key ON metric_key.id = key_id
            WHERE attempt_ordinal = ? AND key = ? AND source = coalesce(?, source) ORDER BY source LIMIT 1
            """, [part.ordinal, query.key, query.source?.rawValue], Series.init)
    }

    // MARK: Curves

    func curve(_ query: CurveQuery) throws -> Curve {
        // The steps of device metrics are seconds and go on over attempts; nothing of them is taken back.
        let isDevice = DeviceKeys.contains(query.key)
        let found = try parts(key: query.key, attempt: query.attempt).compactMap { part in
            try series(part, query).map { (part, $0) }
        }
        guard !found.isEmpty else { return Curve() }
        var curve = Curve()
        let isFar = query.points.map { $0 * Self.pointsPerMark <= found.reduce(0) { $0 + $1.1.count } } ?? false
        for (part, series) in found {
            let points =
                if let last = query.last, query.range == nil {
                    try newest(last, of: series, part)
                } else {
                    try stretch(series, part, query, marksOnly: isFar && query.axis == .step)
                }
            curve = join(curve, points, part, query)
            curve.source = series.source
        }
        if query.axis == .time { curve = curve.sortedByTime() }
        if let last = query.last, curve.count > last { curve = curve[Array((curve.count - last)..<curve.count)] }
        guard let count = query.points, let kept = Points.kept(curve.points.values, count: count) else { return curve }
        return curve[kept]
    }

    private func join(_ curve: Curve, _ points: Points, _ part: Part, _ query: CurveQuery) -> Curve {
        let isOrdered = (curve.points.steps.last ?? .min) < (points.steps.first ?? .max)
        let repeats = query.axis == .step && zip(points.steps, points.steps.dropFirst()).contains { $0 == $1 }
        guard query.axis == .time || (isOrdered && !repeats) else { return curve.joined(with: points, attempt: part.attempt) }
        var joined = curve
        joined.append(points, attempt: part.attempt)
        return joined
    }

    /// The points of a series within the query's range.
    private func stretch(_ series: Series, _ part: Part, _ query: CurveQuery, marksOnly: Bool) throws -> Points {
        let low = query.axis == .step ? query.range?.lowerBound ?? .min : .min
        let high = min(part.lastStep, query.axis == .step ? query.range?.upperBound ?? .max : .max)
        var points = Points()
        let sql = """
            SELECT id, first_step, last_step\(marksOnly ? ", summary" : "") FROM metric_chunk
            WHERE series_id = ? AND first_step <= ? AND last_step >= ? ORDER BY first_step, first_at_ms
            """
        let chunks = try transaction.rows(sql, [series.id, high, low]) { row in
            let (id, first, last) = (row.long(), row.long(), row.long())
            return (id: id, isInside: first >= low && last <= high, marks: marksOnly ? try row.summaries().flatMap(\.marks) : [])
        }
        for (index, chunk) in chunks.enumerated() {
            if marksOnly && chunk.isInside {
                // Summaries say what the least and the greatest are, and of the curve's ends only where they stand.
                let isEnd = index == 0 || index == chunks.count - 1
                let ends = isEnd ? try transaction.packedPoints(chunk: chunk.id) : Points()
                var marks = Points()
                for mark in chunk.marks { marks.append(mark.place, mark.value) }
                if index == 0, !ends.isEmpty { marks = ends[0..<1].merged(with: marks) }
                if index == chunks.count - 1, !ends.isEmpty { marks = marks.merged(with: ends[(ends.count - 1)..<ends.count]) }
                points.append(marks)
            } else {
                points.append(try transaction.packedPoints(chunk: chunk.id))
            }
        }
        if let waiting = try waitingPoints(part.ordinal)[series.id] { points = points.merged(with: waiting) }
        points = points.clipped(low, high)
        if query.axis == .time, let range = query.range {
            let kept = points.times.indices.filter { range.contains(points.times[$0]) }
            points = Points(
                steps: kept.map { points.steps[$0] }, times: kept.map { points.times[$0] }, values: kept.map { points.values[$0] })
        }
        return points
    }

    /// At least the last `count` points of a series, where it has as many.
    private func newest(_ count: Int, of series: Series, _ part: Part) throws -> Points {
        let waiting = (try waitingPoints(part.ordinal)[series.id] ?? Points()).clipped(.min, part.lastStep)
        var packed = Points()
        var before = Points.Place(step: .max, time: .max)
        // Points that share a step count once in a curve.
        while Set(packed.steps).count < count {
            let head = try transaction.row(
                """
                SELECT id, first_step, first_at_ms, last_step, last_at_ms, count FROM metric_chunk
                WHERE series_id = ? AND first_step <= ? AND (first_step, first_at_ms) < (?, ?) ORDER BY first_step DESC, first_at_ms DESC LIMIT 1
                """, [series.id, part.lastStep, before.step, before.time], ChunkHead.init)
            guard let head else { break }
            // As a rule what waits comes after all chunks, and is enough.
            if packed.isEmpty {
                let after = waiting.index(notBefore: Points.Place(step: head.last.step + 1, time: .min))
                if Set(waiting.steps[after...]).count >= count { return waiting[after..<waiting.count] }
            }
            packed = try transaction.packedPoints(chunk: head.id).clipped(.min, part.lastStep).merged(with: packed)
            before = head.first
        }
        return packed.merged(with: waiting)
    }

    // MARK: Summaries

    /// What series the job has, by key.
    func summaries() throws -> [MetricKeySummary] {
        let keys = try Set(attempts().flatMap { try allSeries($0.ordinal).keys })
        return try keys.sorted().compactMap { key in
            var summary: MetricKeySummary?
            for part in try parts(key: key) {
                guard let series = try allSeries(part.ordinal)[key]?.first, var fresh = try self.summary(series, part) else { continue }
                if let earlier = summary { fresh.add(earlier, isLater: earlier.lastStep > fresh.lastStep) }
                summary = fresh
            }
            return summary
        }
    }

    private func summary(_ series: Series, _ part: Part) throws -> MetricKeySummary? {
        var points: Points
        var summary: MetricKeySummary?
        if let lastStep = series.lastStep, let lastAt = series.lastAt, lastStep <= part.lastStep {
            summary = MetricKeySummary(
                key: series.key, source: series.source, count: series.count, firstStep: Int(series.firstStep ?? lastStep),
                lastStep: Int(lastStep), lastValue: series.lastValue ?? .nan, lastAt: Timestamp(milliseconds: lastAt), min: series.min,
                max: series.max)
            points = (try waitingPoints(part.ordinal)[series.id] ?? Points()).clipped(.min, part.lastStep)
        } else {
            // Later attempts took the place of some of these points.
            points = try stretch(series, part, CurveQuery(key: series.key), marksOnly: false)
        }
        guard !points.isEmpty else { return summary }
        let numbers = points.values.lazy.filter { !$0.isNaN }
        let last = points.count - 1
        var fresh = MetricKeySummary(
            key: series.key, source: series.source, count: points.count, firstStep: Int(points.steps[0]), lastStep: Int(points.steps[last]),
            lastValue: points.values[last], lastAt: Timestamp(milliseconds: points.times[last]), min: numbers.min(), max: numbers.max())
        if let summary { fresh.add(summary, isLater: (summary.lastStep, summary.lastAt) > (fresh.lastStep, fresh.lastAt)) }
        return fresh
    }
}

extension Points {
    /// The points at steps from `low` to `high`.
    fileprivate func clipped(_ low: Int64, _ high: Int64) -> Points {
        guard let first = steps.first, let last = steps.last, first < low || last > high else { return self }
        let start = index(notBefore: Place(step: low, time: .min))
        let end = high == .max ? count : index(notBefore: Place(step: high + 1, time: .min))
        return start < end ? self[start..<end] : Points()
    }
}

extension MetricKeySummary {
    /// Takes other points of the key into account.
    ///
    /// - Parameter isLater: whether their last one stands after the last one here.
    fileprivate mutating func add(_ earlier: MetricKeySummary, isLater: Bool) {
        count += earlier.count
        firstStep = Swift.min(firstStep, earlier.firstStep)
        if isLater { (lastStep, lastValue, lastAt) = (earlier.lastStep, earlier.lastValue, earlier.lastAt) }
        min = [min, earlier.min].compactMap { $0 }.min()
        max = [max, earlier.max].compactMap { $0 }.max()
    }
}

/// Names of metrics that the daemon itself takes of devices.
enum DeviceKeys {
    static func contains(_ key: String) -> Bool { key.hasPrefix("ray/node.") || key.hasPrefix("system/") }
}
