import APITypes
import EventLoop
import Glibc
import JSON
import Synchronization
import Terminal

/// Follows an experiment to its end: drawn in place on a terminal, a line for each change elsewhere.
struct ExperimentWatch {
    /// Ten pictures a second are as many as an eye wants.
    private static let tickMilliseconds: Int32 = 100
    /// Every so many ticks the experiment is read anew, in case an event was missed.
    private static let ticksPerSnapshot = 100

    let client: APIClient
    let experimentID: String
    let json: Bool

    private var path: [String] { ["v1", "experiments", experimentID] }

    func run() throws {
        let first = try client.get(ExperimentView.self, path).view
        if json { return try printEvents(first) }
        let shared = SharedModel(WatchModel(first))
        let canRedraw = Output.terminal.canRedraw
        var view: any WatchView = canRedraw ? LiveWatchView() : PlainWatchView()
        view.begin(shared.copy)
        // The feed's thread ends with the process.
        let feed = BlockingThread(name: "watch")
        if !StateText.isTerminal(first.state) { feed.submit { readEvents(into: shared) } }
        var tick = 1
        while !shared.copy.isOver {
            if let failure = shared.failure { view.end(shared.copy); throw failure }
            // Soon after the start, once the events flow, so that nothing between the first reading and them is missed.
            if tick % Self.ticksPerSnapshot == 10 { try readSnapshot(into: shared) }
            try readHistory(into: shared)
            view.show(shared)
            poll(nil, 0, Self.tickMilliseconds)
            tick += 1
        }
        let end = try ExperimentEnd(client: client, experimentID: experimentID).wait().view
        shared.update { $0.apply(end) }
        try readHistory(into: shared)
        view.show(shared)
        view.end(shared.copy)
        try finish(end, isDrawn: canRedraw)
    }

    private func finish(_ experiment: ExperimentView, isDrawn: Bool) throws {
        let summary = ExperimentSummary(client: client, experiment: experiment)
        if isDrawn {
            try summary.showEvaluations()
            try summary.showFailures()
        } else {
            Output.write("\n")
            try summary.show()
        }
        try Self.check(experiment)
    }

    /// Throws where the experiment did not succeed.
    private static func check(_ experiment: ExperimentView) throws {
        guard experiment.state != "succeeded" else { return }
        throw CommandFailure(.failed, "the experiment '\(experiment.name)' \(experiment.state == "failed" ? "failed" : "was \(experiment.state)")")
    }

    // MARK: What the daemon tells

    private var events: EventStream {
        let query = [("experiment", experimentID), ("types", "state,metric,checkpoint,evaluation,gap,end")]
        return EventStream(client: client, path: ["v1", "stream"], query: query)
    }

    private func isOver() throws -> Bool { StateText.isTerminal(try client.get(ExperimentView.self, path).view.state) }

    private func readEvents(into shared: SharedModel) {
        do {
            try events.read(
                onConnection: { isConnected in shared.update { $0.setConnection(isLost: !isConnected) } }, isOver: isOver,
                onEvent: { event in
                    guard event.name != "end" else { return .stop }
                    guard event.name != "gap" else { return .goOn }
                    let event = try event.decoded(StreamEvent.self)
                    try shared.update { try $0.apply(event) }
                    return shared.copy.isOver ? .stop : .goOn
                })
        } catch let failure as CommandFailure {
            shared.fail(failure)
        } catch {
            shared.fail(CommandFailure(.failed, "the event stream cannot be read: \(error)"))
        }
    }

    private func readSnapshot(into shared: SharedModel) throws {
        do {
            let snapshot = try client.get(ExperimentView.self, path).view
            shared.update { $0.apply(snapshot) }
        } catch let failure as CommandFailure where failure.status == .unreachable {
            // The feed notices as well; it tells the user, and gives up in the end.
        }
    }

    /// Reads the points that trainings wrote before they were watched.
    private func readHistory(into shared: SharedModel) throws {
        for job in shared.update({ $0.takeJobsWithoutHistory() }) {
            let curves = Curves(client: client, jobID: job)
            do {
                let keys = try curves.summary().view.keys.map(\.key)
                for key in Curves.lossKeys where keys.contains(key) {
                    let curve = try curves.curve(key, points: 500).view
                    shared.update { $0.addHistory(curve) }
                }
            } catch let failure as CommandFailure where failure.status == .unreachable {
                // The picture goes without the earlier points.
            }
        }
    }

    /// `--json`: the events as they come, one a line.
    private func printEvents(_ first: ExperimentView) throws {
        if !StateText.isTerminal(first.state) {
            try events.read(isOver: isOver) { event in
                Output.json(Array(event.data.utf8))
                guard event.name == "state" else { return event.name == "end" ? .stop : .goOn }
                let event = try event.decoded(StreamEvent.self)
                guard event.jobID == nil else { return .goOn }
                return StateText.isTerminal(try event.payload(StateEventData.self).state) ? .stop : .goOn
            }
        }
        try Self.check(ExperimentEnd(client: client, experimentID: experimentID).wait().view)
    }
}

/// The model between the thread that reads events and the one that draws.
final class SharedModel: Sendable {
    private let model: Mutex<WatchModel>
    private let failureBox = Mutex<CommandFailure?>(nil)

    init(_ model: WatchModel) { self.model = Mutex(model) }

    var copy: WatchModel { model.withLock { $0 } }
    var failure: CommandFailure? { failureBox.withLock { $0 } }

    func update<Result: Sendable>(_ body: (inout WatchModel) throws -> Result) rethrows -> Result { try model.withLock { try body(&$0) } }
    func fail(_ failure: CommandFailure) { failureBox.withLock { $0 = failure } }
}
