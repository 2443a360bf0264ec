import Glibc
import Testing

@testable import anneal_shim

struct StopLadderTests {
    private let plan = StopPlan(checkpointSignal: 10, checkpointGrace: 100, terminateGrace: 50)
    private let direct = StopPlan(checkpointSignal: nil, checkpointGrace: 0, terminateGrace: 50)

    @Test func itGoesDownRungByRung() {
        var ladder = StopLadder()
        #expect(ladder.deadline == nil)
        #expect(ladder.request(reason: "paused", plan: plan, now: 1_000) == [.signalWorker(10)])
        #expect(ladder.advance(now: 1_099) == [])
        #expect(ladder.deadline == 1_100)
        #expect(ladder.advance(now: 1_100) == [.terminateGroup(SIGTERM)])
        #expect(ladder.phase == .terminate(until: 1_150))
        #expect(ladder.advance(now: 1_149) == [])
        #expect(ladder.advance(now: 1_150) == [.killTree])
        #expect(ladder.advance(now: 9_999) == [])
        #expect(ladder.reason == "paused")
        #expect(ladder.deadline == nil)
    }

    @Test func withoutACheckpointSignalItBeginsAtSIGTERM() {
        var ladder = StopLadder()
        #expect(ladder.request(reason: "cancelled", plan: direct, now: 0) == [.terminateGroup(SIGTERM)])
        #expect(ladder.phase == .terminate(until: 50))
    }

    @Test func aLaterRequestNeverLengthensAWait() {
        var ladder = StopLadder()
        _ = ladder.request(reason: "paused", plan: plan, now: 0)
        let patient = StopPlan(checkpointSignal: 10, checkpointGrace: 10_000, terminateGrace: 10_000)
        #expect(ladder.request(reason: "cancelled", plan: patient, now: 10) == [])
        #expect(ladder.phase == .checkpoint(until: 100))
        #expect(ladder.advance(now: 100) == [.terminateGroup(SIGTERM)])
        #expect(ladder.request(reason: "cancelled", plan: patient, now: 101) == [])
        #expect(ladder.phase == .terminate(until: 150))
    }

    @Test func aLaterRequestMaySkipTheCheckpointAndShortenTheGrace() {
        var ladder = StopLadder()
        _ = ladder.request(reason: "paused", plan: plan, now: 0)
        #expect(ladder.request(reason: "cancelled", plan: direct, now: 10) == [.terminateGroup(SIGTERM)])
        #expect(ladder.phase == .terminate(until: 60))
        let immediate = StopPlan(checkpointSignal: nil, checkpointGrace: 0, terminateGrace: 0)
        #expect(ladder.request(reason: "cancelled", plan: immediate, now: 20) == [])
        #expect(ladder.advance(now: 20) == [.killTree])
        #expect(ladder.request(reason: "timeout", plan: plan, now: 30) == [])
        #expect(ladder.phase == .kill)
        #expect(ladder.reason == "timeout")
    }
}
