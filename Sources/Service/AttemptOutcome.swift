import Diagnosis
import Domain
import JSON
import Supervision

/// What the end of an attempt means for it and for its job. Pure: a diagnosis and the job's terms in, verdict out.
struct AttemptOutcome: Sendable, Equatable {
    enum Disposition: Sendable, Equatable {
        case succeed
        case fail
        case cancel
        /// The job waits for a user to resume it.
        case pause
        /// The job gave way to another; it goes on by itself when there is room.
        case giveWay
        /// Another attempt follows, from the last checkpoint where there is one.
        case retry(after: Duration, failures: Int)
        case lose
        /// A server that is not needed now; it comes again where jobs that use it are left.
        case rest
    }

    var attemptState: AttemptState
    var disposition: Disposition
    var reason: Reason
    /// What happened, in words; `nil` for a success, which needs none.
    var message: String?
    var evidence: [Evidence] = []
    /// What the micro-batch of the next attempt is divided by.
    var microBatchDivisor: Int?

    /// The facts beside the diagnosis.
    struct Context: Sendable {
        var retry: RetryPolicy
        /// Failed attempts before this one since the job last made progress.
        var failures: Int
        /// True where the attempt left a newer checkpoint than it started from.
        var madeProgress: Bool
        /// True where the job has a checkpoint to go on from.
        var canResume: Bool
        /// What the attempt's micro-batch was divided by.
        var microBatchDivisor = 1
        /// The micro-batch of the spec; `nil` where the engine has none that could be halved.
        var microBatchSize: Int?
    }

    /// Interrupted attempts without progress that are followed by another even where the spec allows no retries.
    private static let fruitlessInterruptionsMax = 3

    /// Judges an attempt whose end has been diagnosed.
    static func judge(_ diagnosis: Diagnosis, _ context: Context) -> AttemptOutcome {
        var outcome = verdict(diagnosis, context)
        outcome.evidence = diagnosis.evidence
        return outcome
    }

    private static func verdict(_ diagnosis: Diagnosis, _ context: Context) -> AttemptOutcome {
        let message = diagnosis.message
        switch diagnosis.cause {
        case .succeeded:
            return AttemptOutcome(attemptState: .succeeded, disposition: .succeed, reason: .succeeded)
        case .cancelled, .superseded, .clusterCancelled:
            return AttemptOutcome(attemptState: .cancelled, disposition: .cancel, reason: diagnosis.cause, message: message)
        case .paused:
            return AttemptOutcome(attemptState: .paused, disposition: .pause, reason: .userRequest, message: message)
        case .preempted:
            return AttemptOutcome(attemptState: .paused, disposition: .giveWay, reason: .preempted, message: message)
        case .serverIdle:
            return AttemptOutcome(attemptState: .succeeded, disposition: .rest, reason: .serverIdle, message: message)
        case .serverLost:
            // No fault of this job: the server's own retries decide how often that may happen.
            return AttemptOutcome(
                attemptState: .failed, disposition: .retry(after: .zero, failures: context.failures), reason: .serverLost, message: message)
        case .interrupted, .allocationEnded:
            return interruption(diagnosis.cause, message, context)
        case .cudaOOM where context.retry.onOutOfMemory == .halveMicroBatch && context.retry.rules[.cudaOOM] == nil:
            return halving(message, context)
        default:
            return failure(diagnosis.cause, message, context)
        }
    }

    /// The verdict on an attempt whose outcome cannot be known.
    static func lost(_ evidence: String) -> AttemptOutcome {
        let reason: Reason = evidence.contains("rebooted") ? .hostRebooted : .supervisorLost
        return AttemptOutcome(attemptState: .lost, disposition: .lose, reason: reason, message: evidence)
    }

    private static func interruption(_ cause: Reason, _ message: String, _ context: Context) -> AttemptOutcome {
        let failures = context.madeProgress ? 0 : context.failures + 1
        guard failures <= max(context.retry.limit ?? 0, fruitlessInterruptionsMax) else {
            return AttemptOutcome(
                attemptState: .failed, disposition: .fail, reason: cause, message: "\(message), \(failures) times without progress")
        }
        let delay: Duration = failures == 0 ? .zero : context.retry.delay(for: cause, afterFailures: failures)
        return AttemptOutcome(
            attemptState: .paused, disposition: .retry(after: delay, failures: failures), reason: cause, message: message)
    }

    private static func failure(_ reason: Reason, _ message: String, _ context: Context) -> AttemptOutcome {
        let failures = context.madeProgress ? 1 : context.failures + 1
        guard failures <= context.retry.limit(for: reason, canResume: context.canResume) else {
            return AttemptOutcome(attemptState: .failed, disposition: .fail, reason: reason, message: message)
        }
        let delay = context.retry.delay(for: reason, afterFailures: failures)
        return AttemptOutcome(
            attemptState: .failed, disposition: .retry(after: delay, failures: failures), reason: reason, message: message)
    }

    /// What the micro-batches of a train job are made smaller by: samples, or tokens where they are formed by tokens.
    static func microBatch(of params: JSONValue?) -> Int {
        params?["dynamic_batching"]?["tokens"]?.int ?? params?["micro_batch_size"]?.int ?? 1
    }

    /// The same optimizer steps with half the memory: half the micro-batch, twice the accumulation.
    private static func halving(_ message: String, _ context: Context) -> AttemptOutcome {
        let divisor = context.microBatchDivisor * 2
        guard let size = context.microBatchSize, size % divisor == 0 else {
            let why = context.microBatchSize == nil ? "its kind has no micro-batch" : "its micro-batch cannot be halved any further"
            return AttemptOutcome(attemptState: .failed, disposition: .fail, reason: .cudaOOM, message: "\(message); \(why)")
        }
        var outcome = AttemptOutcome(
            attemptState: .failed, disposition: .retry(after: context.retry.delay(for: .cudaOOM, afterFailures: 1), failures: 0),
            reason: .cudaOOM, message: "\(message); the next attempt takes a micro-batch of \(size / divisor)")
        outcome.microBatchDivisor = divisor
        return outcome
    }
}
