import Domain

extension ReadTransaction {
    /// How far a file of an attempt was read; `nil` before its first line.
    public func metricCursor(attempt: String, path: String) throws -> MetricCursor? {
        try metricCursors(attempt: attempt).first { $0.path == path }
    }

    /// How far each file of an attempt was read.
    public func metricCursors(attempt: String) throws -> [MetricCursor] {
        try rows("SELECT path, inode, offset FROM metric_cursor WHERE attempt_id = ?", [attempt]) {
            MetricCursor(path: $0.text(), inode: UInt64(bitPattern: $0.long()), offset: $0.long())
        }
    }

    /// A job's curve.
    public func curve(job: String, _ query: CurveQuery) throws -> Curve { try CurveReader(self, job: job).curve(query) }

    /// Several curves of a job, in the order of the queries.
    public func curves(job: String, _ queries: [CurveQuery]) throws -> [Curve] {
        let reader = CurveReader(self, job: job)
        return try queries.map { try reader.curve($0) }
    }

    /// What series a job has, by key.
    public func metricKeys(job: String) throws -> [MetricKeySummary] { try CurveReader(self, job: job).summaries() }

    /// Values of a job's attempts that could not be taken.
    public func droppedMetrics(job: String) throws -> Int {
        let sql = "SELECT sum(dropped_points) FROM metric_attempt JOIN attempt ON ordinal = attempt_ordinal WHERE job_id = ?"
        return try row(sql, [job]) { $0.optionalInteger() ?? 0 } ?? 0
    }
}
