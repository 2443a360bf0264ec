import APITypes
import Domain
import Store

// Metrics: what a job's workers measured.
extension AnnealService {
    /// Every key of a job, with its last and extreme values.
    public func metricSummary(job id: String) async throws -> MetricSummaryView {
        let keys = try await store.read { reader in
            guard try reader.job(id) != nil else { throw ServiceError.missing("job", id) }
            return try reader.metricKeys(job: id)
        }
        return MetricSummaryView(
            jobID: id,
            keys: keys.map { key in
                APITypes.MetricKeySummary(
                    key: key.key, count: key.count, firstStep: key.firstStep, lastStep: key.lastStep, last: MetricValue(key.lastValue),
                    min: key.min.map { MetricValue($0) }, max: key.max.map { MetricValue($0) })
            })
    }

    /// One curve, joined over the attempts: a resumed attempt rewinds to the checkpoint it started from.
    ///
    /// - Parameters:
    ///   - points: at most so many points, minima and maxima kept; `nil` for all.
    ///   - attempt: the number of one attempt instead of the joined curve.
    public func curve(job id: String, key: String, points: Int?, attempt: Int?) async throws -> CurveView {
        let found = try await store.read { reader in
            guard try reader.job(id) != nil else { throw ServiceError.missing("job", id) }
            return try reader.metricPoints(job: id, key: key, attempt: attempt, points: points)
        }
        guard !found.isEmpty else { throw ServiceError(.notFound, "the job '\(id)' has no metric '\(key)'") }
        return CurveView(
            jobID: id, key: key,
            points: found.map { point in
                APITypes.CurvePoint(
                    step: point.step, time: Double(point.at.milliseconds) / 1000, value: MetricValue(point.value), attempt: point.attempt)
            })
    }
}
