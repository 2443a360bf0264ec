import Domain

// Metrics that are let go: by age, or because somebody asks for it.
extension WriteTransaction {
    /// What retention leaves of an attempt's metrics.
    private enum Tier: Int {
        case summaries = 1
        case nothing = 2
    }

    /// Lets go of what is older than `retention` allows, of at most `limits.retentionAttemptsMax` attempts.
    ///
    /// - Returns: Of how many attempts; as many as the bound means that there may be more.
    @discardableResult
    public func apply(_ retention: MetricRetention, at: Timestamp) throws -> Int {
        var attempts = 0
        for (ages, isDevice) in [(retention.curves, false), (retention.devices, true)] {
            for (age, tier) in [(ages.summaries, Tier.nothing), (ages.points, .summaries)] {
                guard let age else { continue }
                let oldest = at.milliseconds - Int64(age.inSeconds * 1000)
                let room = limits.retentionAttemptsMax - attempts
                attempts += try reduce(to: tier, isDevice: isDevice, endedBefore: oldest, attemptsMax: room)
            }
        }
        return attempts
    }

    private func reduce(to tier: Tier, isDevice: Bool, endedBefore oldest: Int64, attemptsMax: Int) throws -> Int {
        let column = isDevice ? "device_tier" : "curve_tier"
        let attempts = try rows(
            """
            SELECT attempt_ordinal, attempt.id FROM metric_attempt JOIN attempt ON ordinal = attempt_ordinal
            WHERE \(column) < ? AND finished_at_ms < ? ORDER BY attempt_ordinal LIMIT ?
            """, [tier.rawValue, oldest, attemptsMax]
        ) { ($0.long(), $0.text()) }
        for (ordinal, attempt) in attempts {
            let series = try allSeries(ordinal).filter { DeviceKeys.contains($0.key) == isDevice }
            for one in series {
                switch tier {
                case .summaries: try execute("UPDATE metric_chunk SET data = NULL WHERE series_id = ?", one.id)
                case .nothing: try delete(series: one.id)
                }
            }
            try execute("UPDATE metric_attempt SET \(column) = ? WHERE attempt_ordinal = ?", tier.rawValue, ordinal)
            metricTails.forget(attempt)
        }
        return attempts.count
    }

    /// Deletes metrics of attempts of a job, none of which may be live.
    ///
    /// - Parameters:
    ///   - isChosen: which keys go.
    ///   - attempt: the number of an attempt; `nil` for all.
    /// - Returns: How many points there were.
    public func deleteMetrics(
        job: String, attempt: Int? = nil, at: Timestamp, where isChosen: @Sendable (_ key: String) -> Bool
    ) throws -> Int {
        let attempts = try rows(
            "SELECT ordinal, id, finished_at_ms IS NULL FROM attempt WHERE job_id = ? AND number = coalesce(?, number)", [job, attempt]
        ) { ($0.long(), $0.text(), $0.flag()) }
        guard !attempts.contains(where: \.2) else {
            throw StoreError(.conflict, "an attempt of the job is running and still writes metrics")
        }
        var points = 0
        for (ordinal, id, _) in attempts {
            // Points of any key share batches: what stays must be in chunks before these go.
            try packMetrics(attempt: id, at: at)
            for series in try allSeries(ordinal) where isChosen(series.key) {
                points += series.count
                try delete(series: series.id)
            }
            let last = try row("SELECT max(seq) FROM metric_batch WHERE attempt_ordinal = ?", [ordinal]) { $0.optionalLong() } ?? nil
            guard let last else { continue }
            try execute("DELETE FROM metric_batch WHERE attempt_ordinal = ?", ordinal)
            try execute("UPDATE metric_attempt SET dropped_seq = ? WHERE attempt_ordinal = ?", last, ordinal)
        }
        return points
    }

    /// Gives pages that hold nothing any more back to the file system, at most `limits.freedPagesMax` of them.
    ///
    /// - Returns: Whether there are more to give back; false where the database is not of the kind that can.
    public func giveBackSpace() throws -> Bool {
        let before = try freePages()
        try database.execute(sql: "PRAGMA incremental_vacuum(\(limits.freedPagesMax))")
        let after = try freePages()
        return after > 0 && after < before
    }

    private func allSeries(_ ordinal: Int64) throws -> [(id: Int64, key: String, count: Int)] {
        let sql =
            "SELECT metric_series.id, key, count FROM metric_series JOIN metric_key ON metric_key.id = key_id WHERE attempt_ordinal = ?"
        return try rows(sql, [ordinal]) { ($0.long(), $0.text(), $0.integer()) }
    }

    private func delete(series: Int64) throws {
        try execute("DELETE FROM metric_chunk WHERE series_id = ?", series)
        try execute("DELETE FROM metric_series WHERE id = ?", series)
    }
}
