import Domain
import JSON
import Store
import Telemetry

// Alerts: what a rule or a trainer finds worth telling.
extension AnnealService {
    /// Tells of an alert, once for each identifier that the client gave.
    public func raiseAlert(
        job id: String, attemptID: String?, title: String, text: String?, level: String, step: Int?, clientID: String? = nil
    ) async throws {
        let moment = now
        try await store.write { writer in
            guard let job = try writer.job(id) else { throw ServiceError.missing("job", id) }
            if let clientID, let attemptID {
                guard try !writer.claim(clientIDs: [String(clientID.prefix(100))], attempt: attemptID).isEmpty else { return }
            }
            try writer.appendEvent(
                "alert", experiment: job.experimentID, job: id, attempt: attemptID, at: moment,
                payload: [
                    "title": .string(String(title.prefix(200))), "text": text.map { .string(String($0.prefix(4000))) } ?? .null,
                    "level": .string(Self.level(level)), "step": step.map { .int(Int64($0)) } ?? .null, "job": .string(job.name),
                ])
        }
    }

    /// Tells that a rule of the spec has come true, and does what it asks for.
    func raise(_ rule: AlertRule, _ text: String, of attempt: RunningAttempt, job: ActiveJob, step: Int?) {
        log.warning("an alert was raised", metadata: ["job": "\(job.id)", "rule": "\(rule.text)", "text": "\(text)"])
        if rule.action == .stop { attempt.finding = "'\(rule.text)': \(text)" }
        background("raising an alert of \(job.id)") { [self] in
            try await raiseAlert(job: job.id, attemptID: attempt.id, title: rule.text, text: text, level: rule.level, step: step)
            if rule.action == .stop { try await stop(job.id, .alert) }
        }
    }

    /// Brings the rules of an attempt that an earlier daemon watched to where they stood, and tells what it did not come to tell.
    func restoreAlerts(of attempt: RunningAttempt, job: ActiveJob) async throws {
        guard !attempt.alerts.isEmpty else { return }
        let (id, number, needs) = (job.id, attempt.number, attempt.alerts.map(\.needs))
        let (points, told) = try await store.read { reader -> ([[FollowedPoint]], Set<String>) in
            let points = try needs.map { try Self.lastPoints(of: id, attempt: number, keys: $0.keys, count: $0.points, in: reader) }
            let filter = EventFilter(jobID: id, types: ["alert"])
            let events = try reader.events(after: 0, filter, limit: Self.alertsRead).items
            return (points, Set(events.lazy.filter { $0.attemptID == attempt.id }.compactMap { $0.payload["title"]?.string }))
        }
        for index in attempt.alerts.indices {
            let rule = attempt.alerts[index].rule
            var text: (String, Int)?
            for point in points[index] {
                if let found = attempt.alerts[index].take(key: point.key, step: point.step, value: point.value) {
                    text = (found, point.step)
                }
            }
            if told.contains(rule.text) {
                if case .gpuIdle = rule.condition { attempt.alerts[index].setRaised() }
            } else if let text, attempt.alerts[index].isRaised {
                raise(rule, text.0, of: attempt, job: job, step: text.1)
            }
        }
    }

    /// Alerts of a job that are read to see which were told.
    private nonisolated static let alertsRead = 1000
    /// Points that are read to see where a rule stands; one that looks further back begins to count anew.
    private nonisolated static let pointsRead = 10_000

    private nonisolated static func lastPoints(
        of job: String, attempt: Int, keys: [String], count: Int, in reader: ReadTransaction
    ) throws -> [FollowedPoint] {
        let points = try keys.flatMap { key in
            let curve = try reader.curve(job: job, CurveQuery(key: key, attempt: attempt, last: min(count, pointsRead)))
            return curve.points.steps.indices.map { index in
                FollowedPoint(
                    key: key, step: Int(curve.points.steps[index]), seconds: Double(curve.points.times[index]) / 1000,
                    value: curve.points.values[index])
            }
        }
        return keys.count > 1 ? points.sorted { $0.step < $1.step } : points
    }

    /// Of the levels that there are, the one that is meant.
    private nonisolated static func level(_ text: String) -> String {
        switch text.lowercased() {
        case "info", "debug": "info"
        case "error", "critical", "fatal": "error"
        default: "warn"
        }
    }
}
