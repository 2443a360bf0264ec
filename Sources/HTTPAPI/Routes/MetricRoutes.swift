import EventLoop
import HTTPServer
import JSON
import Service
import Store

/// Curves, and what there is of them.
@LoopActor
enum MetricRoutes {
    /// The parameters that choose points.
    nonisolated static let selection = ["key", "points", "from", "to", "by", "last", "attempt", "source", "layout"]

    /// The summary of a job's keys, or its curves.
    static func job(_ call: Call) async throws -> Answer {
        let keys = call.queries("key")
        guard !keys.isEmpty else {
            // What chooses points means nothing here, and still has to be right.
            _ = (try query(call), try format(call))
            return try .json(try await call.service.metricSummary(job: call.parameter()))
        }
        return try await curves(
            call, jobs: [call.parameter()], experiment: nil, keys: keys, isList: keys.count > 1 || keys[0].contains("*"))
    }

    /// Curves of many jobs at once.
    static func list(_ call: Call) async throws -> Answer {
        let jobs = call.queries("job")
        let experiment = call.query("experiment")
        let keys = call.queries("key")
        guard !jobs.isEmpty || experiment != nil else { throw Call.invalid("job", "is missing; name jobs or an experiment") }
        guard !keys.isEmpty else { throw Call.invalid("key", "is missing; '*' stands for any characters") }
        guard jobs.count <= ServiceLimits.curveJobsMax else {
            throw Call.invalid("job", "stands more than \(ServiceLimits.curveJobsMax) times")
        }
        return try await curves(call, jobs: jobs, experiment: experiment, keys: keys, isList: true)
    }

    private static func curves(_ call: Call, jobs: [String], experiment: String?, keys: [String], isList: Bool) async throws -> Answer {
        let query = try query(call)
        let format = try format(call)
        let rendered = try await call.service.curves(jobs: jobs, experiment: experiment, keys: keys, query) { sequence, curves in
            isList || !curves.isEmpty ? format.render(curves, sequence: sequence, single: !isList) : nil
        }
        let bytes: [UInt8]
        if let rendered {
            bytes = rendered
        } else {
            // A key that has no points there is not one that was never written.
            let summary = try await call.service.metricSummary(job: jobs[0])
            guard let known = summary.keys.first(where: { $0.key == keys[0] }) else {
                throw ServiceError(.notFound, "the job '\(jobs[0])' has no metric '\(keys[0])'")
            }
            bytes = format.renderEmpty(
                job: jobs[0], key: known.key, source: query.source?.name ?? known.source, sequence: summary.seq)
        }
        var headers = HTTPHeaders()
        headers.set("Content-Type", format.contentType)
        return Answer(status: .ok, headers: headers, body: bytes)
    }

    /// Takes a batch of points for a job: `points` one by one, or `series` as columns.
    static func log(_ call: Call) async throws -> Answer {
        let job = try await MLflowRoutes.writable(call, call.parameter())
        let bytes = try await call.body(upTo: ServiceLimits.trackingRequestBytesMax)
        guard let type = call.request.headers["content-type"], Call.essence(type) == "application/json" else {
            throw ServiceError(.unsupportedMediaType, "the body must be application/json")
        }
        var batch = TrackedBatch()
        batch.metrics = try PointBatch.parse(bytes, receivedAt: Store.systemTime())
        let added = try await call.service.track(batch, run: job, attemptID: call.caller.attemptID, source: .native)
        return .json(bytes: JSONWriter().bytes(of: ["added": .int(Int64(added)), "known": .int(Int64(batch.metrics.count - added))]))
    }

    /// Deletes keys of a job that has ended, or all of them.
    static func delete(_ call: Call) async throws -> Answer {
        let attempt = try call.integer("attempt", in: 1...1_000_000)
        let points = try await call.service.deleteMetrics(job: call.parameter(), keys: call.queries("key"), attempt: attempt)
        return .json(bytes: JSONWriter().bytes(of: ["deleted": .int(Int64(points))]))
    }

    private static func format(_ call: Call) throws(ServiceError) -> CurveFormat {
        let layout = call.query("layout")
        guard layout == nil || layout == "points" || layout == "columns" else {
            throw Call.invalid("layout", "must be one of points, columns")
        }
        if call.accepts("text/csv") { return .csv }
        if call.accepts("application/x-ndjson") { return .lines }
        if call.accepts(CurveFormat.binaryType) { return .binary }
        return layout == "columns" ? .columns : .points
    }

    private static func query(_ call: Call) throws(ServiceError) -> CurveQuery {
        var query = CurveQuery(key: "")
        query.points = try call.integer("points", in: 1...100_000)
        query.last = try call.integer("last", in: 1...1_000_000)
        query.attempt = try call.integer("attempt", in: 1...1_000_000)
        query.axis = try call.choice("by", as: CurveQuery.Axis.self) ?? .step
        if let name = call.query("source") {
            guard let source = MetricSource.allCases.first(where: { $0.name == name }) else {
                throw Call.invalid("source", "must be one of \(MetricSource.allCases.map(\.name).joined(separator: ", "))")
            }
            query.source = source
        }
        let (from, to) = (try bound(call, "from"), try bound(call, "to"))
        guard (from ?? -.infinity) <= (to ?? .infinity) else { throw Call.invalid("from", "is after 'to'") }
        if from != nil || to != nil { query.range = range(from, to, query.axis) }
        return query
    }

    /// A step, or seconds since 1970.
    private static func bound(_ call: Call, _ name: String) throws(ServiceError) -> Double? {
        guard let text = call.query(name) else { return nil }
        // Swift also reads hexadecimal numbers and names of infinity; the contract has only those of JSON.
        guard text.utf8.allSatisfy({ "0123456789.eE-+".utf8.contains($0) }), !text.hasPrefix("+"), let number = Double(text),
            (0...Double(TrackingLimits.stepMax)).contains(number)
        else { throw Call.invalid(name, "must be a step or seconds since 1970, a number from 0 to \(TrackingLimits.stepMax)") }
        return number
    }

    /// The steps, or milliseconds, from one bound to the other.
    private static func range(_ from: Double?, _ to: Double?, _ axis: CurveQuery.Axis) -> ClosedRange<Int64> {
        switch axis {
        case .step:
            let (first, last) = (from.map { Int64($0.rounded(.up)) } ?? .min, to.map { Int64($0.rounded(.down)) } ?? .max)
            // Between two steps there is none; nor is there a negative one.
            return first <= last ? first...last : -1 ... -1
        case .time:
            // Times are told as milliseconds divided by 1000, which is not exact; the nearest is the one that was told.
            return (from.map { Int64(($0 * 1000).rounded()) } ?? .min)...(to.map { Int64(($0 * 1000).rounded()) } ?? .max)
        }
    }
}
