import Diagnosis
import Domain
import JSON
import Testing

@testable import Service

/// What the cause of an attempt's end means for its job, with and without retries left.
@Suite struct AttemptOutcomeTests {
    private func judge(
        _ cause: Reason, retry: RetryPolicy = RetryPolicy(limit: 0, delay: .seconds(2), backoff: 3), failures: Int = 0,
        progress: Bool = false,
        canResume: Bool = false, divisor: Int = 1, microBatch: Int? = nil
    ) -> AttemptOutcome {
        AttemptOutcome.judge(
            Diagnosis(cause: cause, message: "words", evidence: [Evidence(kind: "log", message: "line", data: .null)]),
            AttemptOutcome.Context(
                retry: retry, failures: failures, madeProgress: progress, canResume: canResume, microBatchDivisor: divisor,
                microBatchSize: microBatch))
    }

    private func policy(_ limit: Int?) -> RetryPolicy { RetryPolicy(limit: limit, delay: .seconds(2), backoff: 3) }

    @Test func whatWasAskedForIsDone() {
        #expect(judge(.cancelled).disposition == .cancel && judge(.superseded).disposition == .cancel)
        #expect(judge(.paused).disposition == .pause && judge(.paused).reason == .userRequest)
        #expect(judge(.preempted).disposition == .giveWay && judge(.preempted).attemptState == .paused)
        #expect(judge(.succeeded).disposition == .succeed && judge(.succeeded).message == nil)
    }

    @Test func retriesBackOffUntilTheirLimit() {
        #expect(judge(.crashed, retry: policy(2)).disposition == .retry(after: .seconds(2), failures: 1))
        #expect(judge(.crashed, retry: policy(2), failures: 1).disposition == .retry(after: .seconds(6), failures: 2))
        #expect(judge(.crashed, retry: policy(2), failures: 2).disposition == .fail)
    }

    @Test func progressStartsTheCountAnew() {
        #expect(judge(.crashed, retry: policy(2), failures: 2, progress: true).disposition == .retry(after: .seconds(2), failures: 1))
    }

    @Test(arguments: [Reason.badConfig, .badData, .importError, .nanLoss, .startFailed, .gateFailed])
    func whatCannotSucceedIsNotRetried(cause: Reason) {
        #expect(judge(cause, retry: policy(9), canResume: true).disposition == .fail)
    }

    @Test func withoutARuleTheCauseDecides() {
        #expect(judge(.crashed, retry: policy(nil)).disposition == .fail)
        #expect(judge(.crashed, retry: policy(nil), canResume: true).disposition == .retry(after: .seconds(2), failures: 1))
        #expect(judge(.network, retry: policy(nil)).disposition == .retry(after: .seconds(10), failures: 1))
        #expect(judge(.stalled, retry: policy(nil)).disposition == .retry(after: .seconds(2), failures: 1))
        #expect(judge(.gpuFault, retry: policy(nil), failures: 2).disposition == .fail)
    }

    @Test func anInterruptedWorkerIsResumedAtOnceWhileItMakesProgressAndThreeTimesWhereItMakesNone() {
        #expect(judge(.interrupted, progress: true).disposition == .retry(after: .zero, failures: 0))
        #expect(judge(.interrupted, failures: 2).disposition == .retry(after: .seconds(18), failures: 3))
        #expect(judge(.interrupted, failures: 3).disposition == .fail)
    }

    @Test func theMicroBatchIsHalvedWhileItCanBe() {
        let retry = RetryPolicy(onOutOfMemory: .halveMicroBatch)
        let sizes = [nil, ["micro_batch_size": 8], ["micro_batch_size": 8, "dynamic_batching": ["tokens": 4096]]] as [JSONValue?]
        #expect(sizes.map { AttemptOutcome.microBatch(of: $0) } == [1, 8, 4096])
        let first = judge(.cudaOOM, retry: retry, microBatch: 4)
        #expect(first.microBatchDivisor == 2 && first.disposition == .retry(after: .seconds(1), failures: 0))
        #expect(judge(.cudaOOM, retry: retry, divisor: 2, microBatch: 4).microBatchDivisor == 4)
        let last = judge(.cudaOOM, retry: retry, divisor: 4, microBatch: 4)
        #expect(last.disposition == .fail && last.message?.contains("cannot be halved") == true)
        #expect(judge(.cudaOOM, retry: retry).disposition == .fail)
        #expect(judge(.cudaOOM, microBatch: 4).disposition == .fail)
    }

    @Test func theEvidenceIsKept() {
        #expect(judge(.crashed).evidence.map(\.message) == ["line"])
    }

    @Test func aRebootIsToldFromALostSupervisor() {
        #expect(AttemptOutcome.lost("the host rebooted").reason == .hostRebooted)
        #expect(AttemptOutcome.lost("gone").reason == .supervisorLost)
    }

    @Test func theLossOfAServerCostsAJobNoneOfItsRetriesAndAnIdleServerRests() {
        let context = AttemptOutcome.Context(retry: RetryPolicy(limit: 1), failures: 1, madeProgress: false, canResume: false)
        let lost = AttemptOutcome.judge(Diagnosis(cause: .serverLost, message: "m", evidence: []), context)
        #expect(lost.attemptState == .failed && lost.disposition == .retry(after: .zero, failures: 1) && lost.reason == .serverLost)
        let idle = AttemptOutcome.judge(Diagnosis(cause: .serverIdle, message: "m", evidence: []), context)
        #expect(idle.attemptState == .succeeded && idle.disposition == .rest)
    }

    @Test func whatTheSupervisorWasToldDecidesOnTheEndOfAServerAndItsUsers() {
        for (reason, cause) in [("idle", Reason.serverIdle), ("server_lost", .serverLost)] {
            var facts = AttemptEvidence()
            (facts.exitCode, facts.stopReason) = (75, reason)
            #expect(Diagnosis.of(facts, patterns: .builtIn).cause == cause)
            (facts.exitCode, facts.signal) = (nil, 9)
            #expect(Diagnosis.of(facts, patterns: .builtIn).cause == cause)
            (facts.exitCode, facts.signal) = (0, nil)
            #expect(Diagnosis.of(facts, patterns: .builtIn).cause == .succeeded)
        }
    }
}
