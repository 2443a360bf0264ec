import APITypes
import Domain
import JSON

/// The state of the machine and its jobs at one moment.
struct TopSnapshot: Sendable {
    /// The newest loss of a job.
    struct Loss: Sendable {
        var step: Int
        var value: Double
    }

    var gpus: GPUInventoryView
    /// Jobs that have started and not ended, paused ones too.
    var active: [JobView]
    /// Jobs that have not started, in the order in which they are served.
    var queue: [QueueEntryView]
    var queueHasMore: Bool
    /// The jobs that failed last, the latest first.
    var failed: [JobView]
    /// By job.
    var losses: [String: Loss]
    var takenAt: Timestamp

    /// For `--json`.
    func json() throws -> JSONValue {
        [
            "gpus": try JSONValue(encoding: gpus), "active": try JSONValue(encoding: active), "queue": try JSONValue(encoding: queue),
            "failed": try JSONValue(encoding: failed),
        ]
    }
}

/// All that is known of one job.
struct TopDetails: Sendable {
    var job: JobView
    var metrics: MetricSummaryView
    var explanation: ExplainView
}

/// Asks the daemon for what the screen shows, and for what its keys do.
struct TopSource: Sendable {
    private static let activeStates = ["running", "starting", "stopping", "paused"]
    private static let jobsMax = 50
    private static let failedMax = 20
    private static let queueMax = 100

    let client: APIClient

    func snapshot() throws -> TopSnapshot {
        let gpus = try client.get(GPUInventoryView.self, ["v1", "gpus"]).view
        let queue = try client.get(Page<QueueEntryView>.self, ["v1", "queue"], query: [("limit", String(Self.queueMax))]).view
        let active = try Self.activeStates.flatMap { try jobs($0, max: Self.jobsMax) }
        let failed = try jobs("failed", max: Self.failedMax)
        return TopSnapshot(
            gpus: gpus, active: active, queue: queue.data, queueHasMore: queue.hasMore,
            failed: failed.sorted { ($0.finishedAt ?? "") > ($1.finishedAt ?? "") },
            losses: try losses(of: active), takenAt: Moment.now())
    }

    func details(_ jobID: String) throws -> TopDetails {
        TopDetails(
            job: try client.get(JobView.self, ["v1", "jobs", jobID]).view,
            metrics: try client.get(MetricSummaryView.self, ["v1", "jobs", jobID, "metrics"]).view,
            explanation: try client.get(ExplainView.self, ["v1", "jobs", jobID, "explain"]).view)
    }

    /// Does what a key asks for and says what came of it.
    func perform(_ action: TopAction) throws -> String {
        switch action.verb {
        case .pause, .resume, .cancel:
            let job = try client.post(JobView.self, ["v1", "jobs", action.jobID, action.verb.rawValue]).view
            return "\(action.name): \(job.state)"
        case .setPriority:
            let body = JSONWriter().bytes(of: ["priority": .int(Int64(action.priority))])
            _ = try client.send("PATCH", ["v1", "jobs", action.jobID], headers: [("Content-Type", "application/json")], body: body)
            return "\(action.name): priority \(action.priority)"
        }
    }

    private func jobs(_ state: String, max: Int) throws -> [JobView] {
        try client.get(Page<JobView>.self, ["v1", "jobs"], query: [("state", state), ("limit", String(max))]).view.data
    }

    /// The last point of each job's loss, all with one request.
    private func losses(of jobs: [JobView]) throws -> [String: TopSnapshot.Loss] {
        let jobs = jobs.filter { $0.state == "running" }
        guard !jobs.isEmpty else { return [:] }
        let query =
            jobs.map { ("job", $0.id) } + Curves.trainingLossKeys.map { ("key", $0) } + [("last", "1"), ("layout", "columns")]
        let curves: [CurveColumns]
        do {
            curves = try client.get(CurvePage.self, ["v1", "metrics"], query: query).view.curves
        } catch let failure as CommandFailure where failure.status == .notFound {
            // A job was removed in between, or the daemon is older than this request. A screen without losses is better than none.
            return [:]
        }
        var losses: [String: TopSnapshot.Loss] = [:]
        for key in Curves.trainingLossKeys {
            for curve in curves where curve.key == key && losses[curve.jobID] == nil {
                guard let step = curve.steps.last, let value = curve.values.last else { continue }
                losses[curve.jobID] = TopSnapshot.Loss(step: step, value: value.number)
            }
        }
        return losses
    }
}
