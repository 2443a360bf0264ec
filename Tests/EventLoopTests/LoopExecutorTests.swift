import EventLoop
import Glibc
import Synchronization
import Testing

private actor OnLoop {
    nonisolated var unownedExecutor: UnownedSerialExecutor { LoopExecutor.shared.asUnownedSerialExecutor() }
    private(set) var count = 0

    func isOnLoop() -> Bool { LoopExecutor.shared.isOnLoopThread }
    func increment() { count += 1 }
}

private actor Elsewhere {
    func isOnLoop() -> Bool { LoopExecutor.shared.isOnLoopThread }
}

@Suite(.timeLimit(.minutes(1)))
struct LoopExecutorTests {
    @Test func anActorWithTheLoopAsItsExecutorRunsOnTheLoop() async {
        #expect(await OnLoop().isOnLoop())
    }

    @Test func anOrdinaryActorDoesNotRunOnTheLoop() async {
        #expect(await Elsewhere().isOnLoop() == false)
    }

    @Test func theGlobalActorRunsOnTheLoop() async {
        #expect(await LoopActor.run { LoopExecutor.shared.isOnLoopThread })
    }

    @Test func assumeIsolatedWorksInACallbackOfTheLoop() async {
        let actor = OnLoop()
        let count = await withCheckedContinuation { continuation in
            Task { @LoopActor in
                // A timer's callback comes from libuv and runs outside any task.
                _ = LoopTimer(after: .zero) {
                    let count = actor.assumeIsolated { actor in
                        actor.increment()
                        return actor.count
                    }
                    continuation.resume(returning: count)
                }
            }
        }
        #expect(count == 1)
    }

    @Test func theExecutorTellsWhetherTheCallerIsIsolated() async {
        #expect(LoopExecutor.shared.isIsolatingCurrentContext() == false)
        #expect(await LoopActor.run { LoopExecutor.shared.isIsolatingCurrentContext() } == true)
    }

    @Test func assumeIsolatedElsewhereTraps() async {
        await #expect(processExitsWith: .failure) {
            LoopActor.assumeIsolated {}
        }
    }

    @Test func tenThousandJobsFromManyThreadsAllRun() async {
        let actor = OnLoop()
        let threads = (0..<8).map { BlockingThread(name: "sender \($0)") }
        await withTaskGroup(of: Void.self) { group in
            for thread in threads {
                for _ in 0..<1250 {
                    group.addTask {
                        await withCheckedContinuation { continuation in
                            thread.submit {
                                Task {
                                    await actor.increment()
                                    continuation.resume()
                                }
                            }
                        }
                    }
                }
            }
        }
        #expect(await actor.count == 10_000)
    }

    @Test func jobsOfOneSenderRunInTheirOrder() async {
        let (seen, sink) = AsyncStream.makeStream(of: Int.self)
        for number in 0..<100 {
            Task { @LoopActor in
                sink.yield(number)
                if number == 99 { sink.finish() }
            }
        }
        var order: [Int] = []
        for await number in seen { order.append(number) }
        #expect(order == Array(0..<100))
    }

    @Test func aBrokenPipeDoesNotEndTheProcess() async {
        _ = LoopExecutor.shared
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        #expect(write(ends[1], "x", 1) == -1)
        #expect(errno == EPIPE)
        close(ends[1])
    }
}
