import Domain
import JSON

extension WriteTransaction {
    /// Appends points of an attempt and moves the cursor of the file they were read from.
    ///
    /// A point that is known already (same key, step and time) is ignored, so that sending a batch twice changes nothing.
    /// What is new goes out in `metric` events of at most `metricPointsPerEventMax` points.
    ///
    /// - Returns: How many points were new.
    @discardableResult
    public func appendMetrics(attempt id: String, points: [MetricPoint], cursor: MetricCursor? = nil, at: Timestamp) throws -> Int {
        let owner = try row(
            """
            SELECT attempt.ordinal, attempt.number, attempt.job_id, job.experiment_id
            FROM attempt JOIN job ON job.id = attempt.job_id WHERE attempt.id = ?
            """, [id]
        ) { MetricOwner(attemptID: id, ordinal: $0.long(), number: $0.integer(), jobID: $0.text(), experimentID: $0.text()) }
        guard let owner else { throw StoreError(.notFound, "there is no attempt \(id)") }
        let fresh = try insert(points, ordinal: owner.ordinal)
        if let cursor {
            try execute(
                "INSERT OR REPLACE INTO metric_cursor (attempt_id, path, inode, offset) VALUES (?, ?, ?, ?)",
                id, cursor.path, Int64(bitPattern: cursor.inode), cursor.offset)
        }
        var start = 0
        while start < fresh.count {
            let end = min(fresh.count, start + limits.metricPointsPerEventMax)
            try appendEvent(
                "metric", experiment: owner.experimentID, job: owner.jobID, attempt: id, at: at,
                payload: owner.payload(of: fresh[start..<end]))
            start = end
        }
        return fresh.count
    }

    /// Inserts points and returns those that were not there before.
    private func insert(_ points: [MetricPoint], ordinal: Int64) throws -> [MetricPoint] {
        var keys: [String: Int64] = [:]
        var fresh: [MetricPoint] = []
        fresh.reserveCapacity(points.count)
        for point in points {
            let key = try keys[point.key] ?? metricKeyID(point.key)
            keys[point.key] = key
            let inserted = try change(
                "INSERT OR IGNORE INTO metric (attempt_ordinal, key_id, step, at_ms, value) VALUES (?, ?, ?, ?, ?)",
                [ordinal, key, point.step, point.at.milliseconds, point.value.isNaN ? nil : point.value])
            if inserted == 1 { fresh.append(point) }
        }
        return fresh
    }

    private func metricKeyID(_ key: String) throws -> Int64 {
        if let id = try row("SELECT id FROM metric_key WHERE key = ?", [key], { $0.long() }) { return id }
        try execute("INSERT INTO metric_key (key) VALUES (?)", key)
        return database.lastInsertedRowID
    }
}

/// Whose points they are.
private struct MetricOwner {
    let attemptID: String
    let ordinal: Int64
    let number: Int
    let jobID: String
    let experimentID: String

    func payload(of points: ArraySlice<MetricPoint>) -> JSONValue {
        [
            "job_id": .string(jobID), "attempt_id": .string(attemptID), "attempt": JSONValue(number),
            "points": .array(
                points.map { point in
                    [
                        "key": .string(point.key), "step": JSONValue(point.step), "time": .double(Double(point.at.milliseconds) / 1000),
                        "value": point.value.jsonNumber,
                    ]
                }),
        ]
    }
}

extension Double {
    /// The number, or the text `NaN`, `Infinity` or `-Infinity`, for which JSON has no numbers.
    var jsonNumber: JSONValue {
        if isFinite { return .double(self) }
        return isNaN ? "NaN" : self > 0 ? "Infinity" : "-Infinity"
    }
}
