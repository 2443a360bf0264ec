import Domain
import JSON
import Supervision
import Testing

@testable import Service

/// What the end of an attempt means: every kind of end, with and without retries left.
@Suite struct AttemptOutcomeTests {
    private func context(
        retry: Int = 0, failures: Int = 0, progress: Bool = false, report: WorkerReport = .none, fault: String? = nil
    ) -> AttemptOutcome.Context {
        AttemptOutcome.Context(
            report: report, reportFault: fault, errorTail: "last words", retry: RetryPolicy(limit: retry, delay: .seconds(2), backoff: 3),
            failures: failures, madeProgress: progress)
    }

    private func exit(code: Int32? = nil, signal: Int32? = nil, stop: String? = nil) -> ExitRecord {
        var record = ExitRecord(startedAtMs: 0, endedAtMs: 1)
        record.exitCode = code
        record.signal = signal
        record.stopReason = stop
        return record
    }

    @Test(arguments: [
        (Int32(0), Reason.succeeded), (64, .badConfig), (65, .badData), (1, .crashed), (255, .crashed),
    ])
    func anExitCodeHasItsReason(code: Int32, reason: Reason) {
        #expect(AttemptOutcome.judge(exit(code: code), context()).reason == reason)
    }

    @Test func aSignalThatNobodySentIsAKill() {
        let outcome = AttemptOutcome.judge(exit(signal: 11), context())
        #expect(outcome.reason == .killed && outcome.disposition == .fail)
        #expect(outcome.message?.contains("11") == true && outcome.message?.contains("last words") == true)
    }

    @Test func whatAUserAskedForOutranksTheExitCode() {
        #expect(AttemptOutcome.judge(exit(code: 0, stop: "cancelled"), context()).disposition == .cancel)
        #expect(AttemptOutcome.judge(exit(code: 75, stop: "paused"), context()).disposition == .pause)
        #expect(AttemptOutcome.judge(exit(signal: 9, stop: "paused"), context()).disposition == .pause)
        // A worker that was done before the pause reached it has done its work.
        #expect(AttemptOutcome.judge(exit(code: 0, stop: "paused"), context()).disposition == .succeed)
        #expect(AttemptOutcome.judge(exit(signal: 15, stop: "timeout"), context(retry: 5)).disposition == .fail)
    }

    @Test func retriesBackOffUntilTheirLimit() {
        #expect(AttemptOutcome.judge(exit(code: 1), context(retry: 2)).disposition == .retry(after: .seconds(2), failures: 1))
        #expect(AttemptOutcome.judge(exit(code: 1), context(retry: 2, failures: 1)).disposition == .retry(after: .seconds(6), failures: 2))
        #expect(AttemptOutcome.judge(exit(code: 1), context(retry: 2, failures: 2)).disposition == .fail)
    }

    @Test func progressStartsTheCountAnew() {
        #expect(
            AttemptOutcome.judge(exit(code: 1), context(retry: 2, failures: 2, progress: true)).disposition
                == .retry(after: .seconds(2), failures: 1))
    }

    @Test(arguments: [Int32(64), 65])
    func whatCannotSucceedIsNotRetried(code: Int32) {
        #expect(AttemptOutcome.judge(exit(code: code), context(retry: 9)).disposition == .fail)
    }

    @Test func anInterruptedWorkerIsResumedAtOnceWhileItMakesProgressAndThreeTimesWhereItMakesNone() {
        #expect(AttemptOutcome.judge(exit(code: 75), context(progress: true)).disposition == .retry(after: .zero, failures: 0))
        #expect(AttemptOutcome.judge(exit(code: 75), context(failures: 2)).disposition == .retry(after: .seconds(18), failures: 3))
        #expect(AttemptOutcome.judge(exit(code: 75), context(failures: 3)).disposition == .fail)
    }

    @Test func aMissedGateIsItsOwnReasonAndNamesTheMetric() throws {
        let text = """
            {"gate": {"passed": false, "checks": [{"metric": "accuracy", "condition": ">= 0.9", "value": 0.5, "passed": false}]}}
            """
        let outcome = AttemptOutcome.judge(exit(code: 1), context(retry: 3, report: try WorkerReport.parse(Array(text.utf8))))
        #expect(outcome.reason == .gateFailed && outcome.disposition == .fail)
        #expect(outcome.message == "the gate was missed: accuracy is 0.5, asked for >= 0.9")
    }

    @Test func theWorkersOwnReasonAndWordsAreKept() throws {
        let text = """
            {"error": {"reason": "disk_full", "message": "no room", "errors": [{"line": 3, "pointer": "/a", "detail": "bad"}]}}
            """
        let outcome = AttemptOutcome.judge(exit(code: 1), context(report: try WorkerReport.parse(Array(text.utf8))))
        #expect(outcome.reason == .diskFull && outcome.message == "no room; line 3: /a: bad")
    }

    @Test func aGoodExitWithAReportThatCannotBeReadIsAFailure() {
        let outcome = AttemptOutcome.judge(exit(code: 0), context(fault: "outputs.json is not JSON"))
        #expect(outcome.disposition == .fail && outcome.message?.contains("not JSON") == true)
    }

    @Test func aProgramThatCouldNotBeStartedSaysWhy() {
        var record = exit()
        record.startError = ExitRecord.StartError(step: "execve", errorNumber: 2, message: "no such program: x")
        let outcome = AttemptOutcome.judge(record, context(retry: 3))
        #expect(outcome.reason == .startFailed && outcome.disposition == .fail && outcome.message?.contains("no such program: x") == true)
    }

    @Test func aRebootIsToldFromALostSupervisor() {
        #expect(AttemptOutcome.lost("the host rebooted").reason == .hostRebooted)
        #expect(AttemptOutcome.lost("gone").reason == .supervisorLost)
    }
}
