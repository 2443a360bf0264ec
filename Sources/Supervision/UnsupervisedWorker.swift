import CPosix
import EventLoop
import Glibc

/// Processes of a worker whose shim has died. They can be watched and signalled, but their exit code will never be known.
///
/// While it lives, what it holds (its GPUs, its checkpoint folder) must not be given to another.
@LoopActor
public final class UnsupervisedWorker {
    /// Between two looks where a process cannot be watched by a descriptor.
    private static let pollInterval: Duration = .milliseconds(500)

    /// The attempt's folder.
    public nonisolated let directory: String
    /// The worker's first process, or where that has ended another of its processes.
    public private(set) var pid: Int32
    /// True from the `lost` event on.
    public private(set) var isOver = false

    private let folder: AttemptFolder
    private let files: BlockingThread
    private let onEvent: @LoopActor (AttemptEvent) -> Void
    private var remains: [SeenProcess]
    private var pidfd: Int32?
    private var watcher: DescriptorWatcher?
    private var timer: LoopTimer?

    init(
        _ remains: [SeenProcess], folder: AttemptFolder, files: BlockingThread, onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) {
        directory = folder.path
        self.folder = folder
        self.files = files
        self.onEvent = onEvent
        self.remains = remains
        pid = remains.first?.pid ?? 0
        watch()
    }

    /// Every process of the worker that was found at the last look.
    public var pids: [Int32] { remains.map(\.pid) }

    /// Sends a signal to every process of the worker that can be found. There is no ladder without a shim.
    public func signal(_ number: Int32) async throws {
        let folder = self.folder
        remains = try await files.run {
            let remains = Self.look(folder)
            for process in remains { process.send(number) }
            return remains
        }
    }

    /// Stops to watch, and leaves the processes alone. No event comes after it.
    public func detach() {
        isOver = true
        closeWatchers()
    }

    private func watch() {
        if let first = remains.first, let descriptor = ShimIdentity.open(pid: first.pid, startTicks: first.startTicks) {
            pidfd = descriptor
            do {
                watcher = try DescriptorWatcher(descriptor: descriptor, events: .readable) { _ in self.lookAgain() }
                return
            } catch {
                closeWatchers()
            }
        }
        timer = LoopTimer(after: Self.pollInterval) { self.lookAgain() }
    }

    private func lookAgain() {
        closeWatchers()
        Task {
            let folder = self.folder
            do {
                remains = try await files.run { Self.look(folder) }
            } catch {
                // The file thread has been stopped: the daemon is going down, and the next one will look.
                return detach()
            }
            guard !isOver else { return }
            if let first = remains.first {
                pid = first.pid
                return watch()
            }
            isOver = true
            onEvent(.lost(evidence: "the supervisor died and the worker ended after it, so its exit code is unknown"))
        }
    }

    private nonisolated static func look(_ folder: AttemptFolder) -> [SeenProcess] {
        guard case .unsupervised(let remains) = AttemptFinding.examine(folder) else { return [] }
        return remains
    }

    private func closeWatchers() {
        watcher?.cancel()
        watcher = nil
        timer?.cancel()
        timer = nil
        if let pidfd { close(pidfd) }
        pidfd = nil
    }
}
