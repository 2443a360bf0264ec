import Domain
import EventLoop
import Store
import Synchronization

/// Hands committed events to whoever listens on the loop, in the order of their sequence numbers.
///
/// Runs on the loop. It keeps no history: a listener that fell behind reads the database, so the hub's memory does not grow
/// with the slowest reader.
@LoopActor
public final class EventHub {
    /// Names a listener, so that it can be taken away again.
    public struct Token: Sendable, Hashable {
        fileprivate let number: UInt64
    }

    /// The sequence number of the newest event that was published.
    public private(set) var latestSequence: Int64 = 0
    private var listeners: [UInt64: (EventRecord) -> Void] = [:]
    private var nextNumber: UInt64 = 0
    private var onJobChange: (String) -> Void = { _ in }
    private let inbox = Inbox()

    public init() {}

    /// How many listen now.
    public var listenerCount: Int { listeners.count }

    /// Calls `body` on the loop for each event from now on, until the token is cancelled.
    public func listen(_ body: @escaping @LoopActor (EventRecord) -> Void) -> Token {
        nextNumber += 1
        listeners[nextNumber] = body
        return Token(number: nextNumber)
    }

    /// Takes a listener away; no event reaches it after this.
    public func cancel(_ token: Token) { listeners[token.number] = nil }

    /// Calls `body` with the id of each job of which something else is to be told now; the last who asks is called.
    public func listenToJobs(_ body: @escaping @LoopActor (String) -> Void) { onJobChange = body }

    /// Tells that something has changed about a job that is no event, such as what it waits for.
    func touch(_ jobID: String) { onJobChange(jobID) }

    func start(at sequence: Int64) { latestSequence = sequence }

    /// Takes a batch from the store's writer thread; the batches of one thread keep their order.
    nonisolated func publish(_ events: [EventRecord]) {
        guard !events.isEmpty, inbox.put(events) else { return }
        Task { @LoopActor in self.deliver() }
    }

    private func deliver() {
        for event in inbox.takeAll() {
            latestSequence = max(latestSequence, event.seq)
            if let job = event.jobID { onJobChange(job) }
            for listener in listeners.values { listener(event) }
        }
    }
}

/// The events between the writer thread and the loop. One wake-up carries all that have gathered.
private final class Inbox: Sendable {
    private let events = Mutex<[EventRecord]>([])

    /// Adds a batch; true where the inbox was empty and the loop must be woken.
    func put(_ batch: [EventRecord]) -> Bool {
        events.withLock { events in
            let wasEmpty = events.isEmpty
            events.append(contentsOf: batch)
            return wasEmpty
        }
    }

    func takeAll() -> [EventRecord] {
        events.withLock { events in
            let batch = events
            events.removeAll(keepingCapacity: batch.count < 1024)
            return batch
        }
    }
}
