import Testing

@testable import Slurm

/// What one answer of squeue tells of an attempt, whatever became of its submissions.
@Suite struct SlurmQueueTests {
    private static func queue(_ lines: String...) -> SlurmQueue {
        SlurmQueue(lines.compactMap { SlurmJob(line: $0[...]) })
    }

    private static func id(_ sight: SlurmSight) -> String? {
        if case .job(let job) = sight { job.id } else { nil }
    }

    @Test func aJobIsFoundByItsIdAndWithoutOneByItsName() {
        let queue = Self.queue("7|RUNNING|anneal-att_1|0|n1|None", "8|PENDING|other|0|(null)|Priority")
        #expect(Self.id(queue.sight(name: "anneal-att_1", id: "7")) == "7")
        #expect(Self.id(queue.sight(name: "anneal-att_1", id: nil)) == "7")
        #expect(Self.id(queue.sight(name: "anneal-att_2", id: "8")) == nil)
        #expect(Self.id(queue.sight(name: "anneal-att_2", id: nil)) == nil)
    }

    @Test func anIdThatCameAgainIsAnotherJob() {
        let queue = Self.queue("3|RUNNING|anneal-att_2|0|n1|None", "4|RUNNING|anneal-att_0-next|0|n1|None")
        #expect(Self.id(queue.sight(name: "anneal-att_1", id: "3")) == nil)
        #expect(Self.id(queue.sight(name: "anneal-att_1", id: "4")) == nil)
        #expect(Self.id(queue.sight(name: "anneal-att_1", id: "4", sharedName: "anneal-att_0-next")) == "4")
    }

    @Test func ofTwoSubmissionsTheOneThatLivesCountsAndTheOlderBeforeTheYounger() {
        let both = Self.queue("10|PENDING|anneal-att_1|0|(null)|Priority", "9|RUNNING|anneal-att_1|0|n1|None")
        #expect(Self.id(both.sight(name: "anneal-att_1", id: "10")) == "9")
        #expect(both.duplicates.map(\.id) == ["10"])
        let cancelled = Self.queue("10|CANCELLED|anneal-att_1|0|(null)|None", "9|RUNNING|anneal-att_1|0|n1|None")
        #expect(Self.id(cancelled.sight(name: "anneal-att_1", id: "10")) == "9")
        #expect(cancelled.duplicates.isEmpty)
        let ended = Self.queue("10|CANCELLED|anneal-att_1|0|(null)|None", "9|COMPLETED|anneal-att_1|0|n1|None")
        #expect(Self.id(ended.sight(name: "anneal-att_1", id: "10")) == "10")
    }

    @Test func whatWasPutBackIntoTheQueueIsFoundByItsName() {
        let queue = Self.queue(
            "3|PENDING|anneal-att_1|0|(null)|BeginTime", "4_2|PENDING|anneal-att_0-array|0|(null)|BeginTime",
            "5|RUNNING|anneal-att_3|0|n1|None")
        #expect(queue.waiting(name: "anneal-att_1")?.id == "3" && queue.waiting(name: "anneal-att_0-array_2")?.id == "4_2")
        #expect(queue.waiting(name: "anneal-att_3") == nil && queue.waiting(name: "anneal-att_4") == nil)
    }

    @Test func anOrderDoesNotReachAnotherJobThatHasGotTheId() {
        let queue = Self.queue("3|RUNNING|anneal-att_2|0|n1|None", "4_1|PENDING|anneal-att_0-array|0|(null)|Priority")
        var orders = SlurmOrders()
        orders.end("3", ["anneal-att_1"])
        orders.end("4_1", ["anneal-att_9", "anneal-att_0-array_1"])
        orders.cancel("3", ["anneal-att_2"])
        // Of what the queue does not tell it may still be true.
        orders.cancel("5", ["anneal-att_3"])
        let taken = orders.take(queue)
        #expect(taken.ends == ["4_1"] && taken.cancels == ["3", "5"] && orders.isEmpty)
        orders.restore(taken)
        orders.forget("3")
        #expect(orders.take(queue).cancels == ["5"])
    }

    @Test func aLaunchThatFailedIsToldFromAHold() {
        let jobs = ["launch_failed_requeued_held", "launch failed requeued held", "JobHeldUser", "None"].compactMap {
            SlurmJob(line: "3|PENDING|anneal-att_1|0|(null)|\($0)"[...])
        }
        #expect(jobs.map(\.isHeldAfterLaunch) == [true, true, false, false])
    }

    @Test(arguments: [("NODE_FAIL", false), ("COMPLETED", true), ("RUNNING", false), ("TIMEOUT", true)])
    func onlyANodeThatAnswersSaysThatNothingRunsOnIt(_ state: String, _ isSure: Bool) {
        #expect(SlurmState(state).isSureEnd == isSure)
    }
}
