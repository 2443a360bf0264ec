import EventLoop
import Store
import Synchronization

/// Carries committed events from the store, which is opened first, to the service, which is made later.
public final class EventRelay: Sendable {
    private let hub = Mutex<EventHub?>(nil)

    public init() {}

    /// Called by the store's writer thread. Before a service is connected nothing listens, and nothing writes.
    /// From now on events go to the hub of `service`.
    @Sendable public func publish(_ events: [EventRecord]) { hub.withLock { $0 }?.publish(events) }

    @LoopActor public func connect(_ service: AnnealService) { hub.withLock { $0 = service.hub } }
}

extension AnnealService {
    /// A new bearer token.
    public nonisolated static func makeToken() -> String { TokenHash.makeToken() }
}
