import EventLoop
import Store

/// Reads for listeners that can wait: only so many of them stand in the store's queue at a time, the others in line before it.
///
/// Thousands of clients that reconnect at once, as after a restart, thus are served one after the other instead of being refused,
/// and other requests find room.
@LoopActor
public final class ReadLine {
    private static let width = 16

    private let store: Store
    private var underWay = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []
    /// Those of `waiting` that had their turn; taken out together, so that a turn costs the same however many wait.
    private var served = 0

    init(store: Store) { self.store = store }

    /// Like `Store.read`, in turn.
    public func read<T: Sendable>(_ body: @escaping @Sendable (ReadTransaction) throws -> T) async throws -> T {
        if underWay >= Self.width { await withCheckedContinuation { waiting.append($0) } } else { underWay += 1 }
        defer { next() }
        return try await store.read(body)
    }

    /// Gives the place that became free to the next in line.
    private func next() {
        guard served < waiting.count else {
            underWay -= 1
            return
        }
        let turn = waiting[served]
        served += 1
        if served == waiting.count || served >= 1024 {
            waiting.removeFirst(served)
            served = 0
        }
        turn.resume()
    }
}
