import APITypes
import EventLoop
import Synchronization
import Terminal

/// Keeps a model up to date, and does what its keys ask for, beside the thread that draws.
final class TopFeed: Sendable {
    private static let everySeconds = 1.0
    /// How soon a wish for news is seen.
    private static let sliceSeconds = 0.1
    private static let retrySecondsMax = 4.0

    private let source: TopSource
    private let model: Mutex<TopModel>
    private let wantsNews = Atomic<Bool>(false)
    // The threads end with the process.
    private let reading = BlockingThread(name: "top")
    private let acting = BlockingThread(name: "top actions")

    init(_ source: TopSource, first: TopSnapshot) {
        self.source = source
        model = Mutex(TopModel(first))
    }

    var copy: TopModel { model.withLock { $0 } }

    func update<Result: Sendable>(_ body: (inout TopModel) -> Result) -> Result { model.withLock { body(&$0) } }

    func start() { reading.submit { self.read() } }

    /// Asks the daemon soon rather than when it is time.
    func hurry() { wantsNews.store(true, ordering: .relaxed) }

    func perform(_ action: TopAction) {
        acting.submit { [self] in
            do {
                let text = try source.perform(action)
                update { $0.tell(StyledText(text, .green)) }
            } catch let failure as CommandFailure {
                update { $0.tell(StyledText(failure.lines.first ?? "it failed", .red)) }
            } catch {
                update { $0.tell(StyledText("\(error)", .red)) }
            }
            hurry()
        }
    }

    private func read() {
        var pause = Self.everySeconds
        while true {
            wait(seconds: pause)
            do {
                let snapshot = try source.snapshot()
                update { $0.update(snapshot) }
                pause = Self.everySeconds
                guard case .details(let id) = copy.mode else { continue }
                let details = try source.details(id)
                update { $0.show(details) }
            } catch let failure as CommandFailure where failure.status == .unreachable {
                update { $0.lose(at: Moment.now()) }
                pause = min(pause * 2, Self.retrySecondsMax)
            } catch {
                let text = (error as? CommandFailure)?.lines.first ?? "\(error)"
                update { $0.tell(StyledText(text, .red)) }
            }
        }
    }

    private func wait(seconds: Double) {
        var waited = 0.0
        while waited < seconds, !wantsNews.exchange(false, ordering: .relaxed) {
            Outage.pause(seconds: Self.sliceSeconds)
            waited += Self.sliceSeconds
        }
    }
}
