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

    let client: APIClient
    let experimentID: String
    let json: Bool

    private var path: [String] { ["v1", "experiments", experimentID] }

    func run() throws {
        let first = try client.get(ExperimentView.self, path).view
        if json { return try printEvents() }
        let shared = SharedModel(WatchModel(first))
        let canRedraw = Output.terminal.canRedraw
        var view: any WatchView = canRedraw ? LiveWatchView() : PlainWatchView()
        view.begin(shared.copy)
        // The feed's thread ends with the process.
        let feed = BlockingThread(name: "watch")
        if !shared.copy.isOver { feed.submit { readEvents(into: shared) } }
        while !shared.copy.isOver {
            if let failure = shared.failure {
                view.end(shared.copy)
                throw failure
            }
            view.show(shared)
            poll(nil, 0, Self.tickMilliseconds)
        }
        let end = try ExperimentEnd(client: client, experimentID: experimentID).wait().view
        shared.update { $0.end(end) }
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
        throw CommandFailure(
            .failed, "the experiment '\(experiment.name)' \(experiment.state == "failed" ? "failed" : "was \(experiment.state)")")
    }

    // MARK: What the daemon tells

    private var events: EventStream {
        let query = [("experiment", experimentID), ("types", "state,metric,checkpoint,evaluation,end")]
        return EventStream(client: client, path: ["v1", "stream"]) { _ in query }
    }

    /// An experiment that was retried has ended before in its story, so that only the daemon knows whether it is over now.
    private func isOver() throws -> Bool { StateText.isTerminal(try client.get(ExperimentView.self, path).view.state) }

    private func readEvents(into shared: SharedModel) {
        do {
            try events.read(onConnection: { isConnected in shared.update { $0.setConnection(isLost: !isConnected) } }, isOver: isOver) {
                event in
                guard event.name != "end" else { return .goOn }
                let event = try event.decoded(StreamEvent.self)
                try shared.update { try $0.apply(event) }
                return .goOn
            }
            shared.update { $0.endStream() }
        } catch let failure as CommandFailure {
            shared.fail(failure)
        } catch {
            shared.fail(CommandFailure(.failed, "the event stream cannot be read: \(error)"))
        }
    }

    /// `--json`: the events as they come, one a line.
    private func printEvents() throws {
        try events.read(isOver: isOver) { event in
            Output.json(Array(event.data.utf8))
            return .goOn
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
