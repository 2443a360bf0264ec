import EventLoop
import Glibc
import Synchronization

/// Whether the worker was asked to stop.
///
/// SIGTERM sets a flag, which work on the main thread looks at, and cancels the task that waits for a server.
final class Interruption: Sendable {
    private struct State {
        var isRequested = false
        var work: Task<Int32, Never>?
    }

    private let state = Mutex(State())

    var isRequested: Bool { state.withLock { $0.isRequested } }

    /// Throws where the worker was asked to stop.
    func check() throws(WorkerFailure) {
        if isRequested { throw .interrupted }
    }

    /// Watches SIGTERM and SIGINT from now on, until the process ends.
    @LoopActor
    func watch() throws(UVError) {
        for signal in [SIGTERM, SIGINT] {
            _ = try SignalWatcher(signal: signal) { [self] in
                let work = state.withLock { state in
                    state.isRequested = true
                    return state.work
                }
                work?.cancel()
            }
        }
    }

    /// Cancels `work` when the worker is asked to stop, at once where it was asked before.
    func cancels(_ work: Task<Int32, Never>) {
        let isRequested = state.withLock { state in
            state.work = work
            return state.isRequested
        }
        if isRequested { work.cancel() }
    }
}
