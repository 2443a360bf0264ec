import Domain
import Testing

@Suite struct JobStateTests {
    @Test(arguments: JobState.allCases)
    func aTerminalStateHasNoSuccessorAndAnyOtherLeadsToOne(_ state: JobState) {
        #expect(state.isTerminal == state.successors.isEmpty)
        #expect(!state.successors.contains(state))
        var reached: Set<JobState> = [state]
        var open = [state]
        while let next = open.popLast() {
            for successor in next.successors where reached.insert(successor).inserted { open.append(successor) }
        }
        #expect(reached.contains { $0.isTerminal })
        #expect(state.isTerminal || reached.contains(.cancelled))
    }

    @Test func everyStateIsReachedFromWaiting() {
        var reached: Set<JobState> = [.waiting]
        var open: [JobState] = [.waiting]
        while let next = open.popLast() {
            for successor in next.successors where reached.insert(successor).inserted { open.append(successor) }
        }
        #expect(reached == Set(JobState.allCases))
    }

    @Test func onlyARunningAttemptHoldsResources() {
        #expect(Set(JobState.allCases.filter(\.holdsResources)) == [.starting, .running, .stopping])
        #expect(!JobState.allCases.contains { $0.isTerminal && $0.holdsResources })
        for state in JobState.allCases where !state.holdsResources {
            #expect(!state.successors.contains(.running) && !state.successors.contains(.stopping))
        }
    }

    @Test func whatSucceededIsNotRetried() {
        #expect(JobState.retryable == Set(JobState.allCases.filter { $0.isTerminal && $0 != .succeeded }))
    }

    @Test func namesAreThoseOfTheDocumentation() {
        #expect(
            JobState.allCases.map(\.rawValue) == [
                "waiting", "queued", "starting", "running", "stopping", "paused", "succeeded", "failed", "cancelled", "skipped", "lost",
            ])
        #expect(AttemptState.allCases.filter(\.isTerminal).map(\.rawValue) == ["succeeded", "failed", "cancelled", "paused", "lost"])
        #expect(JobKind.allCases.map(\.rawValue) == ["command", "prepare", "train", "generate", "evaluate", "serve", "convert", "search"])
    }
}

@Suite struct ExperimentStateTests {
    @Test(
        arguments: [
            ([.waiting, .queued] as [JobState], ExperimentState.pending), ([.queued, .running], .running),
            ([.waiting, .succeeded], .running), ([.paused, .waiting], .running),
            ([.failed, .running], .running), ([.failed, .waiting], .running), ([.succeeded, .succeeded], .succeeded),
            ([.succeeded, .skipped], .succeeded), ([.skipped], .succeeded),
            ([.succeeded, .failed], .failed), ([.lost, .succeeded], .failed), ([.failed, .cancelled], .failed),
            ([.cancelled, .succeeded], .cancelled), ([.cancelled, .skipped], .cancelled),
            ([.stopping], .running), ([.starting], .running), ([], .succeeded),
        ] as [([JobState], ExperimentState)])
    func theStateOfAnExperimentFollowsFromItsJobs(_ jobs: [JobState], _ expected: ExperimentState) {
        #expect(ExperimentState.derived(from: jobs) == expected)
        #expect(ExperimentState.derived(from: jobs.reversed()) == expected)
    }

    @Test func anExperimentEndsExactlyWhenAllItsJobsHave() {
        for first in JobState.allCases {
            for second in JobState.allCases {
                #expect(ExperimentState.derived(from: [first, second]).isTerminal == (first.isTerminal && second.isTerminal))
            }
        }
    }
}
