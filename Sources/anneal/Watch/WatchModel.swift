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

    /// The newest figure that tells how the training goes: the reward of reinforcement, the loss of others.
    var headline: (name: String, value: Double)? {
        for (name, key) in [("reward", "train/reward"), ("loss", "train/loss")] {
            if let point = curves[key]?.points.last { return (name, point.value.number) }
        }
        return nil
    }

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

/// What is known of a watched experiment from its events, and what has happened to it.
///
/// The stream of one experiment tells its whole story, however late the watching begins, so that the events alone make the model.
struct WatchModel {
    /// Something worth a line where nothing can be redrawn.
    struct Notice: Equatable {
        /// RFC 3339; `nil` for what happened to the watching itself.
        var at: String?
        var text: String
    }

    private(set) var experiment: ExperimentView
    private(set) var jobs: OrderedMap<WatchedJob> = [:]
    private(set) var isConnectionLost = false
    /// True once the stream has come to its end.
    private(set) var isOver = false
    private var notices: [Notice] = []

    /// - Parameter experiment: The experiment as it is; where it has not ended, its jobs begin anew with the story.
    init(_ experiment: ExperimentView) {
        self.experiment = experiment
        isOver = StateText.isTerminal(experiment.state)
        for job in experiment.jobs {
            let state = isOver ? job.state : "waiting"
            jobs[job.id] = WatchedJob(id: job.id, name: job.name, kind: job.kind, state: state, reason: isOver ? job.reason : nil)
        }
    }

    /// Hands over what has happened since the last call.
    mutating func takeNotices() -> [Notice] {
        defer { notices = [] }
        return notices
    }

    /// Takes the experiment as it is at its end.
    mutating func end(_ final: ExperimentView) {
        isOver = true
        experiment = final
        for job in final.jobs where jobs[job.id]?.state != job.state {
            jobs[job.id]?.state = job.state
            jobs[job.id]?.reason = job.reason
        }
    }

    mutating func endStream() { isOver = true }

    /// Takes an event of the stream.
    mutating func apply(_ event: StreamEvent) throws {
        switch event.type {
        case "state": try applyState(event)
        case "metric":
            guard let job = event.jobID, jobs[job] != nil else { return }
            let data = try event.payload(MetricEventData.self)
            for point in data.points {
                jobs[job]?.curves[point.key, default: WatchedCurve()].add(
                    CurvePoint(step: point.step, time: point.time, value: point.value, attempt: data.attempt))
            }
            if let progress = data.progress { advance(job, to: progress, at: event.at) }
        default: break
        }
    }

    private mutating func applyState(_ event: StreamEvent) throws {
        // The states of attempts are told by those of their jobs.
        guard event.attemptID == nil else { return }
        let data = try event.payload(StateEventData.self)
        guard let id = event.jobID else {
            experiment.state = data.state
            experiment.reason = data.reason
            return
        }
        if jobs[id] == nil, let name = data.name {
            // What joins an experiment that runs is the evaluation of a checkpoint.
            jobs[id] = WatchedJob(id: id, name: name, kind: "evaluate", state: "")
        }
        guard let job = jobs[id] else { return }
        jobs[id]?.state = data.state
        jobs[id]?.reason = data.reason
        jobs[id]?.message = data.message
        guard job.state != data.state else { return }
        let reason = data.reason.map { $0 == data.state ? "" : " (\($0))" } ?? ""
        notices.append(Notice(at: event.at, text: "\(job.name): \(data.state)\(reason)" + (data.message.map { ": \($0)" } ?? "")))
    }

    mutating func setConnection(isLost: Bool) {
        guard isLost != isConnectionLost else { return }
        isConnectionLost = isLost
        notices.append(Notice(at: nil, text: isLost ? "the daemon does not answer; jobs go on, trying again" : "the daemon answers"))
    }

    private mutating func advance(_ id: String, to progress: ProgressView, at moment: String) {
        guard let job = jobs[id] else { return }
        var progress = progress
        // A daemon that has just started may not know the whole again yet.
        progress.total = progress.total ?? job.progress?.total
        jobs[id]?.progress = progress
        // A line for each tenth; where the whole is not known, for each hundred.
        let tenth = Int(progress.total.map { $0 > 0 ? progress.done / $0 * 10 : 0 } ?? progress.done / 100)
        guard tenth != job.toldTenth, job.isActive else { return }
        jobs[id]?.toldTenth = tenth
        let figure = job.headline.map { " · \($0.name) \(NumberText.significant($0.value))" } ?? ""
        notices.append(Notice(at: moment, text: "\(job.name): \(ProgressText.brief(progress))\(figure)"))
    }
}
