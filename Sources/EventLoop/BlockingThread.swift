import DequeModule
import Glibc
import Synchronization

/// A thread for work that blocks: SQLite, hashing, files. It runs one job after another in the order of their coming.
///
/// Such work belongs neither on the loop nor on Swift's cooperative pool, which has only a thread for each core. The
/// thread ends with `stop`, or when the last reference is dropped; what was submitted before is still done.
public final class BlockingThread: Sendable {
    /// Why a job was not run.
    public struct Stopped: Error, Sendable, CustomStringConvertible {
        /// The thread's name.
        public var thread: String
        public var description: String { "the thread '\(thread)' has been stopped" }
    }

    private let name: String
    private let inbox = Inbox()
    private let thread: pthread_t
    private let isJoined = Atomic<Bool>(false)

    /// Starts the thread. Linux shows the first 15 bytes of the name.
    public init(name: String) {
        self.name = name
        // The closure holds the inbox and not self, so that dropping the last reference can end the thread.
        thread = NamedThread.start(name: name, stackBytes: 8 << 20) { [inbox] in
            while let job = inbox.next() { job() }
        }
    }

    deinit {
        inbox.close()
        if !isJoined.load(ordering: .acquiring) { pthread_detach(thread) }
    }

    /// Whether the caller runs on this thread.
    public var isCurrent: Bool { pthread_equal(thread, pthread_self()) != 0 }

    /// Runs `body` on the thread and returns what it returns; the caller stays on its own actor meanwhile.
    ///
    /// Throws what `body` throws, or `Stopped`. A job that has been accepted runs even if the calling task is cancelled.
    public nonisolated(nonsending) func run<Success: Sendable>(
        _ body: @escaping @Sendable () throws -> Success
    ) async throws -> Success {
        try await withCheckedThrowingContinuation { continuation in
            let isAccepted = inbox.append { continuation.resume(with: Result(catching: body)) }
            if !isAccepted { continuation.resume(throwing: Stopped(thread: name)) }
        }
    }

    /// Runs `body` on the thread some time. Does nothing once the thread is stopped.
    public func submit(_ body: @escaping @Sendable () -> Void) {
        _ = inbox.append(body)
    }

    /// Ends the thread after the jobs accepted so far, and waits for that unless called on the thread itself.
    ///
    /// It blocks, so it does not belong on the loop. Does nothing the second time.
    public func stop() {
        inbox.close()
        guard !isCurrent, !isJoined.exchange(true, ordering: .acquiringAndReleasing) else { return }
        pthread_join(thread, nil)
    }
}

/// The queue between the submitters and the thread.
private final class Inbox: Sendable {
    private struct State {
        var jobs: Deque<@Sendable () -> Void> = []
        var isClosed = false
    }

    private let state = Mutex(State())
    /// Counts jobs that wait, plus one for the closing. Safe although unchecked: POSIX semaphores are made for sharing.
    private nonisolated(unsafe) let count: UnsafeMutablePointer<sem_t>

    init() {
        count = .allocate(capacity: 1)
        sem_init(count, 0, 0)
    }

    deinit {
        sem_destroy(count)
        count.deallocate()
    }

    /// Adds a job; false once closed.
    func append(_ job: @escaping @Sendable () -> Void) -> Bool {
        let isAccepted = state.withLock { state in
            guard !state.isClosed else { return false }
            state.jobs.append(job)
            return true
        }
        if isAccepted { sem_post(count) }
        return isAccepted
    }

    func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isFirst { sem_post(count) }
    }

    /// The next job; waits for one. None when the inbox is closed and empty.
    func next() -> (@Sendable () -> Void)? {
        while sem_wait(count) != 0 {}  // interrupted by a signal
        return state.withLock { $0.jobs.popFirst() }
    }
}
