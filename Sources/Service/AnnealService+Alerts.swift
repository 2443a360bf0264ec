import Domain
import JSON
import Store

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

    /// Of the levels that there are, the one that is meant.
    private nonisolated static func level(_ text: String) -> String {
        switch text.lowercased() {
        case "info", "debug": "info"
        case "error", "critical", "fatal": "error"
        default: "warn"
        }
    }
}
