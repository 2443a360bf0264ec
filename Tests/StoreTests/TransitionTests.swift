import Domain
import JSON
import Testing

@testable import Store

@Suite struct TransitionTests {
    private func states(_ events: [EventRecord]) -> [String] {
        events.filter { $0.type == "state" }.map { event in
            let who = event.attemptID ?? event.jobID ?? event.experimentID ?? "?"
            return "\(who): \(event.payload["previous"]?.string ?? "-") > \(event.payload["state"]?.string ?? "-")"
        }
    }

    @Test(arguments: JobState.allCases)
    func onlyTheStateMachinesTransitionsAreMade(from: JobState) async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { transaction in
                try transaction.insert(experiment: .sample())
                for (position, to) in JobState.allCases.enumerated() {
                    var job = JobRecord.sample("job_\(to.rawValue)", position: position, state: from)
                    job.finishedAt = from.isTerminal ? at(5) : nil
                    try transaction.insert(jobs: [job])
                }
            }
            for to in JobState.allCases {
                let id = "job_\(to.rawValue)"
                if from.successors.contains(to) {
                    let job = try await fixture.store.write {
                        try $0.transition(job: id, from: [from], to: to, reason: .timeout, message: "why", at: at(50))
                    }
                    #expect(job?.state == to && job?.reason == .timeout && job?.message == "why")
                    #expect((job?.finishedAt == at(50)) == to.isTerminal)
                    #expect((job?.startedAt == at(50)) == (to == .running))
                    #expect((job?.queuedAt == at(50)) == (to == .queued))
                } else {
                    #expect(
                        try await code { try await fixture.store.write { try $0.transition(job: id, from: [from], to: to, at: at(50)) } }
                            == .illegalTransition)
                    #expect(try await fixture.store.read { try $0.job(id)?.state } == from)
                }
            }
        }
    }

    @Test func aJobThatIsElsewhereIsLeftAlone() async throws {
        try await StoreFixture.with { fixture in
            try await fixture.store.write { try $0.insertSamples() }
            let before = try await fixture.store.read { (try $0.job("job_1"), try $0.lastEventSeq()) }
            #expect(
                try await fixture.store.write { try $0.transition(job: "job_1", from: [.running, .stopping], to: .failed, at: at(9)) }
                    == nil)
            let after = try await fixture.store.read { (try $0.job("job_1"), try $0.lastEventSeq()) }
            #expect(before.0 == after.0 && before.1 == after.1)
            #expect(
                try await code {
                    try await fixture.store.write { try $0.transition(job: "job_9", from: [.running], to: .failed, at: at(9)) }
                } == .notFound)
        }
    }

    @Test func theExperimentFollowsItsJobs() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { transaction in
                try transaction.insert(experiment: .sample())
                try transaction.insert(jobs: [.sample(state: .queued), .sample("job_2", position: 1)])
            }
            let start = try await store.read { try $0.lastEventSeq() }
            try await store.write { try $0.transition(job: "job_1", from: [.queued], to: .starting, at: at(10)) }
            try await store.write { try $0.transition(job: "job_1", from: [.starting], to: .running, at: at(11)) }
            try await store.write {
                try $0.transition(job: "job_1", from: [.running], to: .failed, reason: .crashed, message: "exit code 3", at: at(12))
            }
            #expect(try await store.read { try $0.experiment("exp_1")?.state } == .running)
            try await store.write { try $0.transition(job: "job_2", from: [.waiting], to: .skipped, reason: .needFailed, at: at(13)) }
            let experiment = try await store.read { try $0.experiment("exp_1") }
            #expect(experiment?.state == .failed && experiment?.reason == .crashed && experiment?.finishedAt == at(13))
            #expect(experiment?.message == "job 'job-0' failed: exit code 3")
            let events = try await store.read { try $0.events(after: start, limit: 100).items }
            #expect(
                states(events) == [
                    "job_1: queued > starting", "exp_1: pending > running", "job_1: starting > running", "job_1: running > failed",
                    "job_2: waiting > skipped", "exp_1: running > failed",
                ])
            #expect(events.allSatisfy { $0.experimentID == "exp_1" })
        }
    }

    @Test func aRetryReopensJobAndExperiment() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { transaction in
                try transaction.insert(experiment: .sample())
                try transaction.insert(jobs: [.sample(state: .queued)])
                try transaction.transition(job: "job_1", from: [.queued], to: .starting, at: at(1))
                try transaction.transition(job: "job_1", from: [.starting], to: .running, at: at(2))
                try transaction.setFailures(job: "job_1", 2)
                try transaction.setNotBefore(job: "job_1", at(99))
                try transaction.setOutputs(job: "job_1", outputs: ["a": 1], summary: ["b": 2])
                try transaction.transition(job: "job_1", from: [.running], to: .failed, at: at(3))
            }
            #expect(try await code { try await store.write { try $0.reopen(job: "job_1", to: .running, at: at(4)) } } == .illegalTransition)
            let job = try await store.write { try $0.reopen(job: "job_1", at: at(4)) }
            #expect(job?.state == .waiting && job?.failures == 0 && job?.notBefore == nil && job?.outputs == nil && job?.summary == nil)
            #expect(job?.startedAt == nil && job?.finishedAt == nil && job?.reason == .userRequest)
            let experiment = try await store.read { try $0.experiment("exp_1") }
            #expect(experiment?.state == .pending && experiment?.finishedAt == nil)
            // A job that succeeded or is still active is not reopened.
            #expect(try await store.write { try $0.reopen(job: "job_1", at: at(5)) } == nil)
        }
    }

    @Test func aRetryDoesNotMakeTwoActiveExperimentsOfOneName() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { transaction in
                try transaction.insert(experiment: .sample())
                try transaction.insert(jobs: [.sample(state: .queued)])
            }
            #expect(try await code { try await store.write { try $0.insert(experiment: .sample("exp_2")) } } == .conflict)
            try await store.write { try $0.transition(job: "job_1", from: [.queued], to: .cancelled, reason: .cancelled, at: at(3)) }
            try await store.write { try $0.insert(experiment: .sample("exp_2")) }
            #expect(try await code { try await store.write { try $0.reopen(job: "job_1", at: at(4)) } } == .conflict)
            #expect(try await store.read { try $0.job("job_1")?.state } == .cancelled)
            let found = try await store.read { transaction in
                (
                    try transaction.experiment(named: "demo", project: "default", activeOnly: true)?.id,
                    try transaction.experiment(named: "demo", project: "other")?.id
                )
            }
            #expect(found == ("exp_2", nil))
        }
    }

    @Test func cancellingAnExperimentEndsWhatDoesNotRun() async throws {
        try await StoreFixture.with { fixture in
            let states: [JobState] = [.waiting, .queued, .paused, .running, .succeeded]
            try await fixture.store.write { transaction in
                try transaction.insert(experiment: .sample())
                for (position, state) in states.enumerated() {
                    var job = JobRecord.sample("job_\(position)", position: position, state: state)
                    job.finishedAt = state.isTerminal ? at(2) : nil
                    try transaction.insert(jobs: [job])
                }
            }
            let cancelled = try await fixture.store.write { try $0.cancelWaiting(experiment: "exp_1", message: "by user", at: at(9)) }
            #expect(cancelled.map(\.id) == ["job_0", "job_1", "job_2"])
            #expect(cancelled.allSatisfy { $0.state == .cancelled && $0.reason == .cancelled && $0.message == "by user" })
            #expect(try await fixture.store.read { try $0.experiment("exp_1")?.state } == .running)
            #expect(try await fixture.store.read { try $0.nonTerminalJobs().map(\.id) } == ["job_3"])
            #expect(
                try await fixture.store.read { try $0.jobCounts(experiment: "exp_1") } == [.cancelled: 3, .running: 1, .succeeded: 1])
            try await fixture.store.write { try $0.transition(job: "job_3", from: [.running], to: .cancelled, at: at(10)) }
            #expect(try await fixture.store.read { try $0.experiment("exp_1")?.state } == .cancelled)
        }
    }

    @Test func anAttemptGoesForwardAndKeepsItsEnd() async throws {
        try await StoreFixture.with { fixture in
            let store = fixture.store
            try await store.write { try $0.insertSamples() }
            let start = try await store.read { try $0.lastEventSeq() }
            try await store.write { try $0.transition(attempt: "att_1", from: [.starting], to: .running, at: at(20)) }
            #expect(
                try await code {
                    try await store.write { try $0.transition(attempt: "att_1", from: [.running], to: .starting, at: at(20)) }
                }
                    == .illegalTransition)
            #expect(try await store.write { try $0.transition(attempt: "att_1", from: [.starting], to: .running, at: at(21)) } == nil)
            let ended = try await store.write {
                try $0.transition(
                    attempt: "att_1", from: [.starting, .running, .stopping], to: .failed, cause: .killed, message: "signal 9",
                    end: AttemptEnd(signal: 9, resourceUsage: ["user_seconds": 1.5]), at: at(22))
            }
            #expect(ended?.state == .failed && ended?.signal == 9 && ended?.exitCode == nil && ended?.cause == .killed)
            #expect(ended?.startedAt == at(20) && ended?.finishedAt == at(22) && ended?.resourceUsage == ["user_seconds": 1.5])
            #expect(
                try await code {
                    try await store.write { try $0.transition(attempt: "att_1", from: [.failed], to: .succeeded, at: at(23)) }
                }
                    == .illegalTransition)
            let events = try await store.read { try $0.events(after: start, limit: 10).items }
            #expect(states(events) == ["att_1: starting > running", "att_1: running > failed"])
            #expect(events.last?.payload["signal"] == 9 && events.last?.payload["attempt"] == 1)
            #expect(try await store.read { try $0.attempt(tokenHash: "hash-of-att_1") } == ended)
        }
    }
}
