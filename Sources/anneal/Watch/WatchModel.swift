import APITypes
import JSON
import Terminal

/// One job of a watched experiment.
struct WatchedJob {
    let id: String
    let name: String
    let kind: String
    var state: String
    var reason: String?
    var message: String?
    var progress: ProgressView?
    var curves: OrderedMap<WatchedCurve> = [:]
    /// The last tenth of its progress that was told of in plain lines.
    var toldTenth = -1
    /// True once the points from before the watching have been asked for.
    var hasHistory = false

    var isActive: Bool { ["starting", "running", "stopping"].contains(state) }
}

/// The points of one metric that a watched job has written.
struct WatchedCurve {
    /// More points than a terminal has columns are thinned; this many are kept.
    static let pointsMax = 2000

    private(set) var points: [CurvePoint] = []

    /// Adds a point. A later attempt repeats the steps after its checkpoint; what it writes replaces what was lost.
    mutating func add(_ point: CurvePoint) {
        if let last = points.last, point.step <= last.step {
            guard point.attempt > last.attempt else { return }
            points.removeAll { $0.step >= point.step }
        }
        points.append(point)
        guard points.count > Self.pointsMax else { return }
        points = points.enumerated().filter { $0.offset % 2 == 0 || $0.offset == points.count - 1 }.map(\.element)
    }
}

/// What is known of a watched experiment, from snapshots and events, and what has happened to it.
struct WatchModel {
    /// Something worth a line where nothing can be redrawn.
    enum Notice: Equatable {
        case job(name: String, state: String, reason: String?, message: String?)
        case progress(name: String, text: String)
        case connection(isLost: Bool)
    }

    private(set) var experiment: ExperimentView
    private(set) var jobs: OrderedMap<WatchedJob> = [:]
    private(set) var isConnectionLost = false
    private var notices: [Notice] = []

    init(_ experiment: ExperimentView) {
        self.experiment = experiment
        for job in experiment.jobs {
            jobs[job.id] = WatchedJob(id: job.id, name: job.name, kind: job.kind, state: job.state, reason: job.reason, progress: job.progress)
        }
    }

    var isOver: Bool { StateText.isTerminal(experiment.state) }

    /// Hands over what has happened since the last call.
    mutating func takeNotices() -> [Notice] {
        defer { notices = [] }
        return notices
    }

    /// Takes the experiment as the daemon gives it.
    mutating func apply(_ snapshot: ExperimentView) {
        experiment = snapshot
        for summary in snapshot.jobs {
            change(summary.id, to: summary.state, reason: summary.reason, message: nil)
            if let progress = summary.progress { advance(summary.id, to: progress) }
        }
    }

    /// Takes an event of the stream.
    mutating func apply(_ event: StreamEvent) throws {
        switch event.type {
        case "state":
            let data = try event.payload(StateEventData.self)
            if let job = event.jobID {
                change(job, to: data.state, reason: data.reason, message: data.message)
            } else {
                experiment.state = data.state
                experiment.reason = data.reason
            }
        case "metric":
            guard let job = event.jobID, jobs[job] != nil else { return }
            let data = try event.payload(MetricEventData.self)
            for (key, value) in data.values {
                jobs[job]?.curves[key, default: WatchedCurve()].add(
                    CurvePoint(step: data.step, time: data.time, value: value, attempt: data.attempt))
            }
            if let progress = data.progress { advance(job, to: progress) }
        default: break
        }
    }

    mutating func setConnection(isLost: Bool) {
        guard isLost != isConnectionLost else { return }
        isConnectionLost = isLost
        notices.append(.connection(isLost: isLost))
    }

    /// Jobs that train and whose earlier points have not been asked for; each is named once.
    mutating func takeJobsWithoutHistory() -> [String] {
        let found = jobs.values.filter { $0.kind == "train" && !$0.hasHistory && !["waiting", "queued"].contains($0.state) }.map(\.id)
        for id in found { jobs[id]?.hasHistory = true }
        return found
    }

    /// Puts the points from before the watching in front of those that came since.
    mutating func addHistory(_ curve: CurveView) {
        let since = jobs[curve.jobID]?.curves[curve.key]?.points ?? []
        var whole = WatchedCurve()
        for point in curve.points + since { whole.add(point) }
        jobs[curve.jobID]?.curves[curve.key] = whole
    }

    private mutating func change(_ id: String, to state: String, reason: String?, message: String?) {
        guard let job = jobs[id], job.state != state || (message != nil && job.message != message) else { return }
        jobs[id]?.state = state
        jobs[id]?.reason = reason
        jobs[id]?.message = message
        guard job.state != state else { return }
        notices.append(.job(name: job.name, state: state, reason: reason, message: message))
    }

    private mutating func advance(_ id: String, to progress: ProgressView) {
        guard let job = jobs[id] else { return }
        jobs[id]?.progress = progress
        // A line for each tenth; where the whole is not known, for each hundred.
        let tenth = Int(progress.total.map { $0 > 0 ? progress.done / $0 * 10 : 0 } ?? progress.done / 100)
        guard tenth != job.toldTenth, job.isActive else { return }
        jobs[id]?.toldTenth = tenth
        let loss = job.curves["train/loss"]?.points.last.map { " · loss \(NumberText.significant($0.value.number))" } ?? ""
        notices.append(.progress(name: job.name, text: ProgressText.brief(progress) + loss))
    }
}
