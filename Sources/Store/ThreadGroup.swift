import Synchronization

/// Threads that are started together and whose common end can be awaited.
final class ThreadGroup: Sendable {
    private struct State {
        var running = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    func start(name: String, _ body: @escaping @Sendable () -> Void) throws(StoreError) {
        state.withLock { $0.running += 1 }
        do {
            try WorkerThread.start(name: name) {
                body()
                self.leave()
            }
        } catch {
            leave()
            throw error
        }
    }

    /// Returns when no thread of the group runs.
    func ended() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.running > 0 { state.waiters.append(continuation) }
                return state.running == 0
            }
            if isOver { continuation.resume() }
        }
    }

    private func leave() {
        let waiters = state.withLock { state in
            state.running -= 1
            guard state.running == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
