import EventLoop
import Glibc
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct BlockingThreadTests {
    private struct Failure: Error, Equatable {}

    @Test func aJobRunsOnTheThreadAndItsResultComesBack() async throws {
        let thread = BlockingThread(name: "test")
        #expect(try await thread.run { thread.isCurrent })
        #expect(!thread.isCurrent)
        thread.stop()
    }

    @Test @LoopActor func theCallerStaysOnItsActor() async throws {
        let thread = BlockingThread(name: "test")
        let isElsewhere = try await thread.run { !LoopExecutor.shared.isOnLoopThread }
        #expect(isElsewhere)
        #expect(LoopExecutor.shared.isOnLoopThread)
    }

    @Test func anErrorComesBack() async {
        let thread = BlockingThread(name: "test")
        await #expect(throws: Failure()) { try await thread.run { throw Failure() } }
    }

    @Test func jobsRunInTheOrderOfTheirComingAndStopWaitsForThem() {
        let thread = BlockingThread(name: "test")
        let order = Mutex<[Int]>([])
        for number in 0..<1000 { thread.submit { order.withLock { $0.append(number) } } }
        thread.stop()
        #expect(order.withLock { $0 } == Array(0..<1000))
    }

    @Test func aStoppedThreadRefusesJobsAndStopsTwiceInPeace() async {
        let thread = BlockingThread(name: "gone")
        thread.stop()
        thread.stop()
        thread.submit { Issue.record("ran after the stop") }
        let error = await #expect(throws: BlockingThread.Stopped.self) { try await thread.run {} }
        #expect(error?.description == "the thread 'gone' has been stopped")
    }

    @Test func aDroppedThreadStillDoesWhatWasSubmitted() async {
        await withCheckedContinuation { continuation in
            BlockingThread(name: "dropped").submit { continuation.resume() }
        }
    }

    @Test func aThreadCanStopItself() async throws {
        let thread = BlockingThread(name: "test")
        try await thread.run { thread.stop() }
        await #expect(throws: BlockingThread.Stopped.self) { try await thread.run {} }
    }

    @Test func theMonotonicClockDoesNotGoBack() {
        let first = SystemTime.monotonicNanoseconds()
        #expect(SystemTime.monotonicNanoseconds() >= first)
        #expect(SystemTime.now() > 1_700_000_000_000)
    }
}
