import APITypes
import Domain
import Store

/// A curve with what it is of.
public struct NamedCurve: Sendable {
    public var jobID: String
    public var key: String
    public var curve: Curve
}

// Metrics: what jobs' workers measured.
extension AnnealService {
    /// Every key of a job, with its last and extreme values.
    public func metricSummary(job id: String) async throws -> MetricSummaryView {
        let (keys, dropped, seq) = try await store.read { reader in
            guard try reader.job(id) != nil else { throw ServiceError.missing("job", id) }
            return (try reader.metricKeys(job: id), try reader.droppedMetrics(job: id), try reader.lastEventSeq())
        }
        return MetricSummaryView(
            jobID: id,
            keys: keys.map { key in
                APITypes.MetricKeySummary(
                    key: key.key, source: key.source.name, count: key.count, firstStep: key.firstStep, lastStep: key.lastStep,
                    last: MetricValue(key.lastValue), min: key.min.map { MetricValue($0) }, max: key.max.map { MetricValue($0) })
            }, dropped: dropped, seq: seq)
    }

    /// Curves of jobs, joined over their attempts: a resumed attempt rewinds to the checkpoint it started from.
    ///
    /// - Parameters:
    ///   - jobs: identifiers; each must exist.
    ///   - keys: names, or patterns in which `*` stands for anything.
    ///   - query: what is asked of each curve; its key is not looked at.
    ///   - render: makes the answer, on the thread that read the curves.
    public nonisolated func curves<Answer: Sendable>(
        jobs: [String], experiment: String? = nil, keys: [String], _ query: CurveQuery,
        render: @escaping @Sendable (_ sequence: Int64, _ curves: [NamedCurve]) throws -> Answer
    ) async throws -> Answer {
        try await store.read { reader in
            var jobs = jobs
            for id in jobs { guard try reader.job(id) != nil else { throw ServiceError.missing("job", id) } }
            if let experiment {
                guard try reader.experiment(experiment) != nil else { throw ServiceError.missing("experiment", experiment) }
                jobs += try reader.jobs(experiment: experiment).map(\.id)
            }
            var found: [NamedCurve] = []
            for job in jobs {
                let names = try Self.names(keys, of: job, in: reader)
                guard found.count + names.count <= ServiceLimits.curvesMax else {
                    throw ServiceError(.badRequest, "more than \(ServiceLimits.curvesMax) curves are asked for; name fewer jobs or keys")
                }
                let queries = names.map { name in
                    var one = query
                    one.key = name
                    return one
                }
                for (name, curve) in zip(names, try reader.curves(job: job, queries)) where !curve.isEmpty {
                    found.append(NamedCurve(jobID: job, key: name, curve: curve))
                }
            }
            return try render(try reader.lastEventSeq(), found)
        }
    }

    private nonisolated static func names(_ keys: [String], of job: String, in reader: ReadTransaction) throws -> [String] {
        guard keys.contains(where: { $0.contains("*") }) else { return keys }
        let known = try reader.metricKeys(job: job).map(\.key)
        var names: [String] = []
        for key in keys {
            let matching = key.contains("*") ? known.filter(KeyPattern(key).matches) : [key]
            names += matching.filter { !names.contains($0) }
        }
        return names
    }
}
