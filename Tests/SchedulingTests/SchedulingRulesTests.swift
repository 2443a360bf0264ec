import Domain
import Testing

@testable import Scheduling

/// One test for each rule of the queue.
@Suite struct SchedulingRulesTests {
    private let zero = Timestamp(milliseconds: 0)

    private func machine(
        gpus: Int = 8, cpus: Int = 64, policy: SchedulingPolicy = .standard, _ change: (inout [GPUSlot]) -> Void = { _ in }
    )
        -> SchedulerState
    {
        var slots = (0..<gpus).map { GPUSlot(uuid: "g\($0)", model: "NVIDIA H100 80GB HBM3") }
        change(&slots)
        return SchedulerState(
            capacity: HostCapacity(slots: slots, cpus: cpus, memoryBytes: 1 << 40, counters: ["licences": 2]), policy: policy)
    }

    private func job(
        _ id: String, gpus: Int = 1, at second: Int = 0, priority: Int = 50, limit: Int? = nil,
        _ change: (inout QueuedJob) -> Void = { _ in }
    )
        -> QueuedJob
    {
        var job = QueuedJob(
            id: id, priority: priority, enqueuedAt: Timestamp(milliseconds: Int64(second) * 1000), request: ResourceRequest(gpus: gpus))
        job.timeLimit = limit.map { .seconds($0) }
        change(&job)
        return job
    }

    private func at(_ second: Int) -> Timestamp { Timestamp(milliseconds: Int64(second) * 1000) }

    private func started(_ state: inout SchedulerState, at second: Int = 0) -> [String: [String]] {
        var started: [String: [String]] = [:]
        for case .start(let job, let allocation) in state.decide(now: at(second)) { started[job] = allocation.gpus }
        return started
    }

    @Test func aGangStaysInOneNVLinkIsland() {
        var state = machine { slots in for index in slots.indices { slots[index].nvlinkIsland = index / 4 } }
        state.enqueue(job("one", gpus: 1))
        #expect(started(&state) == ["one": ["g0"]])
        state.enqueue(job("four", gpus: 4))
        #expect(started(&state) == ["four": ["g4", "g5", "g6", "g7"]])
        // A small one fills the island that is broken already.
        state.release("four", at: zero)
        state.enqueue(job("two", gpus: 2))
        #expect(started(&state) == ["two": ["g1", "g2"]])
    }

    @Test func withoutNVLinkAGangStaysInOneNUMANode() {
        var state = machine { slots in for index in slots.indices { slots[index].numaNode = index % 2 } }
        state.enqueue(job("three", gpus: 3))
        #expect(started(&state) == ["three": ["g0", "g2", "g4"]])
    }

    @Test func modelAndMemoryChooseTheDevices() {
        var state = machine { slots in
            slots[5] = GPUSlot(uuid: "g5", model: "NVIDIA H200", memoryBytes: 141 << 30)
            slots[6] = GPUSlot(uuid: "g6", model: "NVIDIA H200", memoryBytes: 141 << 30)
        }
        state.enqueue(job("model", gpus: 1) { $0.request.gpuModel = "h200" })
        state.enqueue(job("memory", gpus: 1, at: 1) { $0.request.gpuMemoryBytes = 100 << 30 })
        #expect(started(&state) == ["model": ["g5"], "memory": ["g6"]])
    }

    @Test func alternativesAreTriedInOrder() {
        var state = machine(gpus: 4)
        state.enqueue(
            job("a", gpus: 2) {
                $0.request.gpuModel = "H200"
                $0.request.alternatives = [ResourceRequest(gpus: 4)]
            })
        #expect(started(&state)["a"]?.count == 4)
    }

    @Test func aRangeTakesWhatIsFreeUpToTheMost() {
        var state = machine()
        state.enqueue(job("five", gpus: 5))
        _ = started(&state)
        state.enqueue(job("range", gpus: 1) { $0.request.gpusMax = 8 })
        #expect(started(&state)["range"]?.count == 3)
    }

    @Test func sharesArePackedOntoOneGPU() {
        var state = machine(gpus: 2)
        for name in ["a", "b", "c"] { state.enqueue(job(name, gpus: 0) { $0.request.gpuShare = 500 }) }
        #expect(started(&state) == ["a": ["g0"], "b": ["g0"], "c": ["g1"]])
        state.enqueue(job("whole", gpus: 1))
        #expect(started(&state) == [:])
        state.release("c", at: zero)
        #expect(started(&state) == ["whole": ["g1"]])
    }

    @Test func countersAreCounted() {
        var state = machine()
        for name in ["a", "b", "c"] { state.enqueue(job(name, gpus: 0) { $0.request.counters = ["licences": 1] }) }
        #expect(Set(started(&state).keys) == ["a", "b"])
        guard case .resources(let shortfalls)? = state.explain("c", now: zero)?.cause else { Issue.record("not told"); return }
        #expect(shortfalls.map(\.name) == ["licences"] && shortfalls[0].holders.map(\.job).sorted() == ["a", "b"])
    }

    @Test func aMIGDeviceAndItsGPUAreNotGivenOutTogether() {
        var state = machine(gpus: 2) { $0[1].parent = "g0" }
        state.enqueue(job("a", gpus: 1))
        state.enqueue(job("b", gpus: 1, at: 1))
        #expect(started(&state).count == 1)
    }

    @Test func avoidedGPUsAreAvoided() {
        var state = machine(gpus: 2)
        state.enqueue(job("a") { $0.avoidedGPUs = ["g0"] })
        #expect(started(&state) == ["a": ["g1"]])
    }

    @Test func shortJobsPassAHeadThatTheyDoNotDelay() {
        var state = machine()
        state.enqueue(job("running", gpus: 6, limit: 1000))
        _ = started(&state)
        state.enqueue(job("head", gpus: 8, at: 1, limit: 100))
        state.enqueue(job("long", gpus: 1, at: 2, limit: 2000))
        state.enqueue(job("short", gpus: 1, at: 3, limit: 900))
        state.enqueue(job("open", gpus: 1, at: 4))
        #expect(Set(started(&state, at: 10).keys) == ["short"])
        #expect(state.explain("head", now: at(10))?.expectedAt == at(1000))
        guard case .behind("head", _)? = state.explain("long", now: at(10))?.cause else { Issue.record("not behind"); return }
    }

    @Test func whatTheHeadDoesNotNeedIsFreeForAnyJob() {
        var state = machine()
        state.enqueue(job("running", gpus: 6, limit: 1000))
        _ = started(&state)
        state.enqueue(job("head", gpus: 4, at: 1, limit: 100))
        state.enqueue(job("open", gpus: 2, at: 2))
        // At 1000 s the head takes four of the six that come free; the two that are free now stay out of its way.
        #expect(Set(started(&state, at: 10).keys) == ["open"])
    }

    @Test func ageBringsAJobPastAHigherPriority() {
        var state = machine(gpus: 1)
        state.enqueue(job("old", priority: 40, { _ in }))
        state.enqueue(job("new", at: 3600 * 6, priority: 50))
        #expect(started(&state, at: 3600 * 6) == ["old": ["g0"]])
    }

    @Test func aProjectThatUsedLittleGoesFirst() {
        var state = machine(gpus: 1)
        state.restoreUsage("busy", gpuSeconds: 100_000, at: zero)
        state.enqueue(job("busy") { $0.project = "busy" })
        state.enqueue(job("idle", at: 60) { $0.project = "idle" })
        #expect(started(&state, at: 60) == ["idle": ["g0"]])
        #expect(state.usage(of: "busy", at: at(7 * 86_400)) < 50_001)
    }

    @Test func usageGrowsWithWhatRuns() {
        var state = machine()
        state.enqueue(job("a", gpus: 4) { $0.project = "p" })
        _ = started(&state)
        #expect(abs(state.usage(of: "p", at: at(100)) - 400) < 1)
        state.release("a", at: at(100))
        #expect(abs(state.usage(of: "p", at: at(200)) - 400) < 1)
    }

    @Test func aQuotaHoldsAProjectBack() {
        var state = machine()
        state.setProject("p", ProjectTerms(gpuLimit: 2))
        for name in ["a", "b", "c"] { state.enqueue(job(name) { $0.project = "p" }) }
        state.enqueue(job("other", at: 5) { $0.project = "q" })
        #expect(Set(started(&state, at: 5).keys) == ["a", "b", "other"])
        #expect(state.explain("c", now: at(5))?.reason == .quotaExceeded)
    }

    @Test func aConcurrencyGroupLetsSoManyRun() {
        var state = machine()
        for name in ["a", "b"] { state.enqueue(job(name) { $0.concurrency = ConcurrencyGroup(name: "deploy") }) }
        #expect(started(&state) == ["a": ["g0"]])
        guard case .concurrency(_, ["a"])? = state.explain("b", now: zero)?.cause else { Issue.record("not told"); return }
        state.release("a", at: zero)
        #expect(Set(started(&state).keys) == ["b"])
    }

    @Test func aHeldJobWaitsForItsRelease() {
        var state = machine()
        state.enqueue(job("a") { $0.isHeld = true })
        #expect(started(&state) == [:])
        #expect(state.explain("a", now: zero)?.reason == .held)
        state.setHeld("a", false)
        #expect(Set(started(&state).keys) == ["a"])
    }

    @Test func theVictimsAreThoseThatLoseLeast() {
        var state = machine(gpus: 4)
        for (name, second) in [("early", 0), ("late", 500), ("saved", 100)] {
            state.enqueue(job(name, at: second, priority: 10) { $0.isPreemptible = true })
            _ = started(&state, at: second)
        }
        state.enqueue(job("firm", at: 500, priority: 10))
        _ = started(&state, at: 500)
        state.noteSaved("saved", at: at(590))
        state.enqueue(job("urgent", gpus: 1, at: 600, priority: 90))
        #expect(state.decide(now: at(600)) == [.preempt(job: "saved", for: "urgent")])
        #expect(state.decide(now: at(601)) == [])
        #expect(state.explain("urgent", now: at(601))?.cause == .preempting(victims: ["saved"]))
        // What is freed is kept, even for a job that would fit and has come before.
        state.release("saved", at: at(610))
        state.enqueue(job("thief", at: 0, priority: 89))
        #expect(Set(started(&state, at: 610).keys) == ["urgent"])
    }

    @Test(arguments: [true, false])
    func whatWasFreedIsKeptWhileItIsProvedEmptyButNotWhereItBroke(becomesUsable: Bool) throws {
        var state = machine(gpus: 2)
        let patient = job("patient", gpus: 1, at: 0, priority: 10) { $0.isPreemptible = true }
        state.enqueue(patient)
        let held = try #require(started(&state)["patient"]?.first)
        state.enqueue(job("urgent", gpus: 2, at: 600, priority: 90))
        #expect(state.decide(now: at(600)) == [.preempt(job: "patient", for: "urgent")])
        state.release("patient", at: at(601))
        state.setHealth(ofGPU: held, unhealthy: "being proved empty", isSettling: true)
        state.enqueue(patient)
        // The other GPU is free, and the victim would fit there: it would be preempted again and again.
        #expect(state.decide(now: at(601)) == [])
        state.setHealth(ofGPU: held, unhealthy: becomesUsable ? nil : "Xid 79")
        #expect(Set(started(&state, at: 602).keys) == [becomesUsable ? "urgent" : "patient"])
    }

    @Test func nothingIsPreemptedThatWouldNotHelp() {
        var state = machine(gpus: 4)
        state.enqueue(job("soft", gpus: 2, priority: 10) { $0.isPreemptible = true })
        state.enqueue(job("firm", gpus: 2, priority: 10))
        _ = started(&state)
        state.enqueue(job("urgent", gpus: 4, at: 1, priority: 90))
        #expect(state.decide(now: at(1)) == [])
        state.enqueue(job("equal", gpus: 1, at: 2, priority: 10))
        #expect(state.decide(now: at(2)) == [])
    }

    @Test func firstComeFirstServedLetsNobodyPast() {
        var state = machine(gpus: 2, policy: .fifo)
        state.enqueue(job("a", gpus: 1))
        _ = started(&state)
        state.enqueue(job("b", gpus: 2, at: 1, limit: 10))
        state.enqueue(job("c", gpus: 1, at: 2, limit: 1))
        #expect(started(&state, at: 3) == [:])
    }

    @Test func aStartIsForecastFromTimeLimits() {
        var state = machine(gpus: 1)
        state.enqueue(job("running", limit: 100))
        _ = started(&state)
        state.enqueue(job("first", at: 1, limit: 50))
        state.enqueue(job("second", at: 2, limit: 50))
        #expect(state.explain("second", now: at(10))?.expectedAt == at(150))
        state.enqueue(job("third", at: 3))
        state.enqueue(job("fourth", at: 4, limit: 5))
        #expect(state.explain("third", now: at(10))?.expectedAt == at(200))
        #expect(state.explain("fourth", now: at(10))?.expectedAt == nil)
    }
}
