import CUV
import Glibc
import Synchronization

/// Runs Swift jobs on the one libuv loop of the process, on a thread of its own named `loop`.
///
/// Everything that touches a `uv_*` handle is isolated to `LoopActor`, whose executor this is. The loop starts with the
/// first use of `shared` and lives as long as the process. `SIGPIPE` is ignored from then on, since a peer that closes a
/// socket must be an error of one write and not the death of the daemon; a child process must restore it.
public final class LoopExecutor: SerialExecutor {
    /// The process's loop.
    public static let shared = LoopExecutor()

    private static let stackBytes = 8 << 20

    private struct Queue {
        var jobs: [UnownedJob] = []
        /// The array of the last batch, kept for its memory.
        var spare: [UnownedJob] = []
    }

    private let queue = Mutex(Queue())
    /// The libuv loop; only the loop thread may touch it.
    ///
    /// Safe although unchecked: the pointer never changes, and what it points to is used on the loop thread alone.
    package nonisolated(unsafe) let loop: UnsafeMutablePointer<uv_loop_t>
    /// Safe although unchecked: never changes, and `uv_async_send` is the one libuv call that any thread may make.
    private nonisolated(unsafe) let wakeup: UnsafeMutablePointer<uv_async_t>
    private let thread = Atomic<UInt>(0)

    private init() {
        loop = .allocate(capacity: 1)
        wakeup = .allocate(capacity: 1)
        Glibc.signal(SIGPIPE, SIG_IGN)
        var status = uv_loop_init(loop)
        precondition(status == 0, "uv_loop_init: \(UVError(call: "uv_loop_init", code: status))")
        status = uv_async_init(loop, wakeup) { handle in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<LoopExecutor>.fromOpaque(data).takeUnretainedValue().drain()
        }
        precondition(status == 0, "uv_async_init: \(UVError(call: "uv_async_init", code: status))")
        wakeup.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        // The thread retains the executor for good: the loop ends only with the process.
        _ = NamedThread.start(name: "loop", stackBytes: Self.stackBytes) { [self] in
            thread.store(UInt(pthread_self()), ordering: .releasing)
            uv_run(loop, UV_RUN_DEFAULT)
        }
    }

    /// Whether the caller runs on the loop's thread.
    public var isOnLoopThread: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    public func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        let wasEmpty = queue.withLock { queue in
            queue.jobs.append(unowned)
            return queue.jobs.count == 1
        }
        // Whoever made the queue non-empty wakes the loop; the wake-up takes all that has come by then.
        guard wasEmpty else { return }
        // libuv before 1.53 may overlook a wake-up that is not ordered after what it announces.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        uv_async_send(wakeup)
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Makes `assumeIsolated` work in libuv's callbacks, which run outside any Swift task.
    public func checkIsolated() { precondition(isOnLoopThread, "not on the loop's thread") }

    public func isIsolatingCurrentContext() -> Bool? { isOnLoopThread }

    /// Runs one batch: jobs that these jobs enqueue wait until sockets have had their turn.
    private func drain() {
        var batch = queue.withLock { queue in
            let batch = queue.jobs
            queue.jobs = queue.spare
            queue.spare = []
            return batch
        }
        let executor = asUnownedSerialExecutor()
        for job in batch { job.runSynchronously(on: executor) }
        batch.removeAll(keepingCapacity: true)
        queue.withLock { $0.spare = batch }
    }
}
