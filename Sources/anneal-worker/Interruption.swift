import EventLoop
import Glibc
import Synchronization

/// Whether the worker was asked to stop.
///
/// SIGTERM sets a flag, which work on the main thread looks at, and cancels the task that waits for a server.
final class Interruption: Sendable {
    private let flag = Atomic<Bool>(false)

    var isRequested: Bool { flag.load(ordering: .acquiring) }

    /// Throws where the worker was asked to stop.
    func check() throws(WorkerFailure) {
        if isRequested { throw .interrupted }
    }

    /// Watches SIGTERM and SIGINT from now on, until the process ends.
    @LoopActor
    func watch(_ onRequest: @escaping @LoopActor () -> Void) throws(UVError) {
        for signal in [SIGTERM, SIGINT] {
            _ = try SignalWatcher(signal: signal) { [self] in
                flag.store(true, ordering: .releasing)
                onRequest()
            }
        }
    }
}
