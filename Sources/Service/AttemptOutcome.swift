import Domain
import JSON
import Supervision

/// What the end of an attempt means for it and for its job. Pure: facts in, verdict out.
struct AttemptOutcome: Sendable, Equatable {
    enum Disposition: Sendable, Equatable {
        case succeed
        case fail
        case cancel
        case pause
        /// Another attempt follows, from the last checkpoint where there is one.
        case retry(after: Duration, failures: Int)
        case lose
    }

    var attemptState: AttemptState
    var disposition: Disposition
    var reason: Reason
    /// What happened, in words; `nil` for a success, which needs none.
    var message: String?

    /// The facts beside the exit record.
    struct Context: Sendable {
        var report: WorkerReport
        /// Why `outputs.json` could not be read, if it could not.
        var reportFault: String?
        /// The last lines of the worker's standard error.
        var errorTail: String
        var retry: RetryPolicy
        /// Failed attempts before this one since the job last made progress.
        var failures: Int
        /// True where the attempt left a newer checkpoint than it started from.
        var madeProgress: Bool
    }

    /// Interrupted attempts without progress that are followed by another even where the spec allows no retries.
    private static let fruitlessInterruptionsMax = 3

    /// Judges an attempt whose exit is known.
    static func judge(_ exit: ExitRecord, _ context: Context) -> AttemptOutcome {
        if let error = exit.startError {
            return failure(.startFailed, "the worker could not be started: \(error.message)", context)
        }
        switch exit.stopReason {
        case "cancelled":
            return AttemptOutcome(
                attemptState: .cancelled, disposition: .cancel, reason: .cancelled, message: "cancelled by request; \(describe(exit))")
        case "paused" where exit.exitCode != 0:
            return AttemptOutcome(
                attemptState: .paused, disposition: .pause, reason: .userRequest, message: "paused by request; \(describe(exit))")
        case "timeout":
            return failure(.timeout, "ran longer than its time limit and was stopped; \(describe(exit))", context)
        default: break
        }
        if let signal = exit.signal {
            return failure(.killed, "signal \(signal) ended the worker, and Anneal did not send it" + tail(context), context)
        }
        switch exit.exitCode {
        case 0: return success(context)
        case 64: return failure(context.report.failure?.reason ?? .badConfig, message(exit, context), context)
        case 65: return failure(context.report.failure?.reason ?? .badData, message(exit, context), context)
        case 75: return interruption(exit, context)
        default:
            if context.report.gatePassed == false { return failure(.gateFailed, gateMessage(context.report), context) }
            return failure(context.report.failure?.reason ?? .crashed, message(exit, context), context)
        }
    }

    /// The verdict on an attempt whose outcome cannot be known.
    static func lost(_ evidence: String) -> AttemptOutcome {
        let reason: Reason = evidence.contains("rebooted") ? .hostRebooted : .supervisorLost
        return AttemptOutcome(attemptState: .lost, disposition: .lose, reason: reason, message: evidence)
    }

    private static func success(_ context: Context) -> AttemptOutcome {
        if let fault = context.reportFault { return failure(.crashed, "the worker ended well, but \(fault)", context) }
        return AttemptOutcome(attemptState: .succeeded, disposition: .succeed, reason: .succeeded, message: nil)
    }

    private static func interruption(_ exit: ExitRecord, _ context: Context) -> AttemptOutcome {
        let failures = context.madeProgress ? 0 : context.failures + 1
        let text = "the worker saved its progress and asked to be resumed"
        guard failures <= max(context.retry.limit, fruitlessInterruptionsMax) else {
            return AttemptOutcome(
                attemptState: .failed, disposition: .fail, reason: .interrupted, message: "\(text), \(failures) times without progress")
        }
        let delay: Duration = failures == 0 ? .zero : context.retry.delay(afterFailures: failures)
        return AttemptOutcome(
            attemptState: .paused, disposition: .retry(after: delay, failures: failures), reason: .interrupted, message: text)
    }

    private static func failure(_ reason: Reason, _ message: String, _ context: Context) -> AttemptOutcome {
        let failures = context.madeProgress ? 1 : context.failures + 1
        guard !RetryPolicy.permanent.contains(reason), failures <= context.retry.limit else {
            return AttemptOutcome(attemptState: .failed, disposition: .fail, reason: reason, message: message)
        }
        let delay = context.retry.delay(afterFailures: failures)
        return AttemptOutcome(
            attemptState: .failed, disposition: .retry(after: delay, failures: failures), reason: reason, message: message)
    }

    // MARK: Words

    private static func message(_ exit: ExitRecord, _ context: Context) -> String {
        if let failure = context.report.failure { return failure.message }
        return describe(exit) + tail(context)
    }

    private static func tail(_ context: Context) -> String { context.errorTail.isEmpty ? "" : ": \(context.errorTail)" }

    private static func describe(_ exit: ExitRecord) -> String {
        if let signal = exit.signal { return "the worker was ended by signal \(signal)" }
        return "the worker exited with code \(exit.exitCode.map(String.init) ?? "unknown")"
    }

    private static func gateMessage(_ report: WorkerReport) -> String {
        let missed = (report.gate?["checks"]?.array ?? []).filter { $0["passed"]?.bool == false }.map { check in
            let metric = check["metric"]?.string ?? "?"
            let value = check["value"]?.double.map { String($0) } ?? "?"
            return "\(metric) is \(value), asked for \(check["condition"]?.string ?? "?")"
        }
        return "the gate was missed: " + missed.joined(separator: "; ")
    }
}
