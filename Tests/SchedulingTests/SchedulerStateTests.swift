import Domain
import Testing

@testable import Scheduling

@Suite struct SchedulerStateTests {
    private func machine(gpus: Int = 8, cpus: Int = 16, memory: Int64 = 1000) -> SchedulerState {
        SchedulerState(capacity: HostCapacity(gpus: (0..<gpus).map { "GPU-\($0)" }, cpus: cpus, memoryBytes: memory))
    }

    private func job(
        _ id: String, gpus: Int = 0, cpus: Int = 1, memory: Int64 = 0, priority: Int = 50, at time: Int64 = 0, notBefore: Int64? = nil
    ) -> QueuedJob {
        QueuedJob(
            id: id, priority: priority, enqueuedAt: Timestamp(milliseconds: time),
            request: ResourceRequest(gpus: gpus, cpus: cpus, memoryBytes: memory),
            notBefore: notBefore.map(Timestamp.init(milliseconds:)))
    }

    private func started(_ state: inout SchedulerState, now: Int64 = 0) -> [String] {
        state.decide(now: Timestamp(milliseconds: now)).map { decision in
            switch decision {
            case .start(let job, _): job
            case .preempt(let victim, let winner): "\(victim) for \(winner)"
            }
        }
    }

    @Test func jobsStartByPriorityThenAgeThenId() {
        var state = machine(cpus: 4)
        for entry in [job("d", priority: 10), job("c", at: 2), job("b", at: 1), job("a2", at: 1), job("z", priority: 90, at: 9)] {
            state.enqueue(entry)
        }
        #expect(state.queuedJobs(now: Timestamp(milliseconds: 0)).map(\.id) == ["z", "a2", "b", "c", "d"])
        #expect(started(&state) == ["z", "a2", "b", "c"])
        #expect(state.queuedJobs(now: Timestamp(milliseconds: 0)).map(\.id) == ["d"])
    }

    @Test func gpusAreGivenOutWholeAndInOrder() {
        var state = machine()
        state.enqueue(job("a", gpus: 2))
        state.enqueue(job("b", gpus: 1, at: 1))
        #expect(
            state.decide(now: Timestamp(milliseconds: 0)) == [
                .start(job: "a", Allocation(gpus: ["GPU-0", "GPU-1"], cpus: 1, memoryBytes: 0)),
                .start(job: "b", Allocation(gpus: ["GPU-2"], cpus: 1, memoryBytes: 0)),
            ])
        state.release("a", at: Timestamp(milliseconds: 0))
        state.enqueue(job("c", gpus: 3, at: 2))
        #expect(
            state.decide(now: Timestamp(milliseconds: 0)) == [
                .start(job: "c", Allocation(gpus: ["GPU-0", "GPU-1", "GPU-3"], cpus: 1, memoryBytes: 0))
            ])
        #expect(state.running["c"]?.allocation == Allocation(gpus: ["GPU-0", "GPU-1", "GPU-3"], cpus: 1, memoryBytes: 0))
    }

    @Test func nothingStartsBeyondCapacity() {
        var state = machine(gpus: 1, cpus: 3, memory: 100)
        for entry in [job("a", gpus: 1, at: 0), job("b", cpus: 2, memory: 60, at: 1), job("c", memory: 50, at: 2)] { state.enqueue(entry) }
        #expect(started(&state) == ["a", "b"])
        state.release("a", at: Timestamp(milliseconds: 0))
        #expect(started(&state) == [])
        state.release("b", at: Timestamp(milliseconds: 0))
        #expect(started(&state) == ["c"])
    }

    @Test func smallJobsDoNotOvertakeABigOneForWhatItWaitsFor() {
        var state = machine(gpus: 8, cpus: 16)
        state.enqueue(job("running", gpus: 5))
        #expect(started(&state) == ["running"])
        state.enqueue(job("big", gpus: 8, cpus: 8, at: 1))
        state.enqueue(job("small", gpus: 1, at: 2))
        state.enqueue(job("cpu", cpus: 7, at: 3))
        state.enqueue(job("cpu2", cpus: 2, at: 4))
        // 15 CPUs are free and 8 of them are set aside.
        #expect(started(&state) == ["cpu"])
        state.release("running", at: Timestamp(milliseconds: 0))
        #expect(started(&state) == ["big"])
        state.release("big", at: Timestamp(milliseconds: 0))
        #expect(started(&state) == ["small", "cpu2"])
    }

    @Test func onlyTheFirstBlockedJobHasItsShareSetAside() {
        var state = machine(gpus: 4, cpus: 16)
        state.enqueue(job("running", cpus: 10))
        #expect(started(&state) == ["running"])
        state.enqueue(job("many-cpus", cpus: 12, at: 1))
        state.enqueue(job("gpus", gpus: 2, at: 2))
        #expect(started(&state) == [])
        state.release("running", at: Timestamp(milliseconds: 0))
        #expect(started(&state) == ["many-cpus", "gpus"])
    }

    @Test func aHigherPriorityGoesBeforeAnOlderReservation() {
        var state = machine(gpus: 8)
        state.enqueue(job("running", gpus: 4))
        #expect(started(&state) == ["running"])
        state.enqueue(job("big", gpus: 8, at: 1))
        state.enqueue(job("urgent", gpus: 4, priority: 90, at: 2))
        #expect(started(&state) == ["urgent"])
    }

    @Test func prioritiesCanBeChanged() {
        var state = machine(cpus: 1)
        state.enqueue(job("a", at: 1))
        state.enqueue(job("b", at: 2))
        let changed = [state.reprioritise("b", to: 60), state.reprioritise("c", to: 60)]
        #expect(changed == [true, false])
        #expect(state.queuedJobs(now: Timestamp(milliseconds: 0)).map(\.id) == ["b", "a"])
        #expect(started(&state) == ["b"])
        let isChangedAgain = state.reprioritise("b", to: 1)
        #expect(isChangedAgain && state.running["b"]?.priority == 1)
    }

    @Test func aDelayedJobIsPassedOverUntilItsTime() {
        var state = machine(gpus: 1, cpus: 2)
        state.enqueue(job("retry", gpus: 1, at: 0, notBefore: 500))
        state.enqueue(job("late", at: 1, notBefore: 900))
        state.enqueue(job("other", gpus: 1, at: 2))
        #expect(state.nextWake(after: Timestamp(milliseconds: 100)) == Timestamp(milliseconds: 500))
        #expect(started(&state, now: 499) == ["other"])
        state.release("other", at: Timestamp(milliseconds: 0))
        #expect(started(&state, now: 500) == ["retry"])
        #expect(state.nextWake(after: Timestamp(milliseconds: 500)) == Timestamp(milliseconds: 900))
        #expect(started(&state, now: 900) == ["late"])
        #expect(state.nextWake(after: Timestamp(milliseconds: 900)) == nil)
    }

    @Test func anUnhealthyGPUIsNotGivenOutAndBlocksNoOthers() {
        var state = machine(gpus: 2)
        state.setHealth(ofGPU: "GPU-0", unhealthy: "Xid 79")
        state.enqueue(job("both", gpus: 2))
        state.enqueue(job("one", gpus: 1, at: 1))
        #expect(state.decide(now: Timestamp(milliseconds: 0)) == [.start(job: "one", Allocation(gpus: ["GPU-1"], cpus: 1, memoryBytes: 0))])
        let explanation = state.explain("both", now: Timestamp(milliseconds: 0))
        #expect(explanation?.message.contains("Xid 79") == true)
        state.setHealth(ofGPU: "GPU-0", unhealthy: nil)
        state.release("one", at: Timestamp(milliseconds: 0))
        #expect(started(&state) == ["both"])
    }

    @Test func aGPUThatFailsWhileHeldStaysWithItsHolderAndIsNotGivenOutAfter() {
        var state = machine(gpus: 1)
        state.enqueue(job("a", gpus: 1))
        #expect(started(&state) == ["a"])
        state.setHealth(ofGPU: "GPU-0", unhealthy: "gone")
        #expect(state.running["a"]?.allocation.gpus == ["GPU-0"])
        state.release("a", at: Timestamp(milliseconds: 0))
        state.enqueue(job("b", gpus: 1))
        #expect(started(&state) == [])
    }

    @Test func aSmallerMachineKeepsWhatRunsAndStartsLess() {
        var state = machine(gpus: 4, cpus: 8)
        state.enqueue(job("a", gpus: 3, cpus: 6))
        #expect(started(&state) == ["a"])
        state.setCapacity(HostCapacity(gpus: ["GPU-0", "GPU-3"], cpus: 4, memoryBytes: 10))
        state.enqueue(job("b", at: 1))
        state.enqueue(job("c", gpus: 1, at: 2))
        #expect(started(&state) == [])
        state.release("a", at: Timestamp(milliseconds: 0))
        #expect(
            state.decide(now: Timestamp(milliseconds: 0)) == [
                .start(job: "b", Allocation(gpus: [], cpus: 1, memoryBytes: 0)),
                .start(job: "c", Allocation(gpus: ["GPU-0"], cpus: 1, memoryBytes: 0)),
            ])
    }

    @Test func whatRunsAtTheStartIsTakenOver() {
        var state = machine(gpus: 2)
        state.enqueue(job("a", gpus: 1))
        let held = Allocation(gpus: ["GPU-1"], cpus: 1, memoryBytes: 0)
        let run = RunningJob(allocation: held, startedAt: Timestamp(milliseconds: 0))
        let taken = [state.allocate("a", run), state.allocate("b", run)]
        #expect(taken == [true, false])
        #expect(state.queuedCount == 0)
        let isQueued = state.enqueue(job("a", gpus: 1))
        #expect(!isQueued)
        state.enqueue(job("c", gpus: 1))
        #expect(state.decide(now: Timestamp(milliseconds: 0)) == [.start(job: "c", Allocation(gpus: ["GPU-0"], cpus: 1, memoryBytes: 0))])
    }

    @Test func jobsAreTakenOutOfTheQueueOnce() {
        var state = machine()
        state.enqueue(job("a"))
        let removed = [state.remove("a"), state.remove("a")]
        #expect(removed == [true, false])
        #expect(started(&state) == [])
        let released = state.release("a", at: Timestamp(milliseconds: 0))
        #expect(released == nil)
    }

    @Test func aJobThatIsQueuedAgainIsReplaced() {
        var state = machine(cpus: 1)
        state.enqueue(job("a", cpus: 5, at: 1))
        state.enqueue(job("b", at: 2))
        state.enqueue(job("a", at: 3))
        #expect(state.queuedJobs(now: Timestamp(milliseconds: 0)).map(\.id) == ["b", "a"])
        #expect(state.explain("a", now: Timestamp(milliseconds: 0))?.rank == 1)
        #expect(state.explain("x", now: Timestamp(milliseconds: 0)) == nil)
    }
}

@Suite struct WaitExplanationTests {
    private let now = Timestamp(milliseconds: 0)

    private func state() -> SchedulerState {
        var state = SchedulerState(capacity: HostCapacity(gpus: (0..<8).map { "GPU-\($0)" }, cpus: 16, memoryBytes: 64 << 30))
        for (id, allocation) in [
            ("job_a", Allocation(gpus: ["GPU-0", "GPU-1"], cpus: 4, memoryBytes: 40 << 30)),
            ("job_b", Allocation(gpus: ["GPU-2", "GPU-3", "GPU-4"], cpus: 1, memoryBytes: 0)),
        ] {
            state.allocate(id, RunningJob(allocation: allocation, startedAt: now))
        }
        return state
    }

    private func job(_ id: String, gpus: Int = 0, cpus: Int = 1, memory: Int64 = 0, at time: Int64 = 0, notBefore: Int64? = nil)
        -> QueuedJob
    {
        QueuedJob(
            id: id, priority: 50, enqueuedAt: Timestamp(milliseconds: time),
            request: ResourceRequest(gpus: gpus, cpus: cpus, memoryBytes: memory),
            notBefore: notBefore.map(Timestamp.init(milliseconds:)))
    }

    @Test func aShortfallNamesWhatIsAskedAndWhoHoldsIt() throws {
        var state = state()
        state.enqueue(job("big", gpus: 8, memory: 30 << 30))
        let explanation = try #require(state.explain("big", now: now))
        guard case .resources(let shortfalls) = explanation.cause else { Issue.record("\(explanation)"); return }
        #expect(shortfalls.map(\.resource) == [.gpus, .memory])
        #expect(shortfalls[0].asked == 8 && shortfalls[0].free == 3 && shortfalls[0].usable == 8)
        #expect(shortfalls[0].holders.map(\.job) == ["job_b", "job_a"])
        #expect(shortfalls[0].holders[0].gpus == ["GPU-2", "GPU-3", "GPU-4"])
        #expect(
            explanation.message
                == "it waits for 8 GPUs: 3 GPUs free of 8 GPUs; job_b holds 3 GPUs, job_a holds 2 GPUs; "
                + "30 GiB: 24 GiB free of 64 GiB; job_a holds 40 GiB"
        )
        #expect(explanation.reason == .insufficientResources && explanation.rank == 0)
    }

    @Test func aJobBehindAReservationNamesTheJobBeforeIt() throws {
        var state = state()
        state.enqueue(job("big", gpus: 8))
        state.enqueue(job("small", gpus: 1, at: 1))
        let explanation = try #require(state.explain("small", now: now))
        guard case .behind(let head, let shortfalls) = explanation.cause else { Issue.record("\(explanation)"); return }
        #expect(head == "big" && shortfalls.map(\.resource) == [.gpus] && shortfalls[0].free == 0 && explanation.rank == 1)
    }

    @Test func theOtherCausesAreTold() {
        var state = state()
        state.enqueue(job("ready"))
        state.enqueue(job("later", notBefore: 5000))
        state.enqueue(job("never", cpus: 17))
        #expect(state.explain("ready", now: now)?.cause == .ready)
        #expect(state.explain("later", now: now)?.cause == .delayed(until: Timestamp(milliseconds: 5000)))
        #expect(state.explain("later", now: now)?.message.contains("1970-01-01T00:00:05.000Z") == true)
        #expect(state.explain("later", now: now)?.reason == .retryDelay)
        guard case .cannotFit(let shortfalls)? = state.explain("never", now: now)?.cause else { Issue.record("not told"); return }
        #expect(shortfalls.map(\.resource) == [.cpus])
        #expect(state.explain("job_a", now: now) == nil && state.explain("nobody", now: now) == nil)
    }
}
