/// The state machine of a job.
///
///     waiting ─► queued ─► starting ─► running ─► succeeded | failed | cancelled | lost
///        │         ▲ │         │          │
///        │         │ └► paused ◄── stopping ◄┘
///        └► skipped└──────┘
///
/// A terminal state is left only by a user's explicit retry.
public enum JobState: String, Sendable, CaseIterable, Hashable, Codable {
    /// Some need has not succeeded yet, or, of a server, no job that uses it is ready.
    case waiting
    /// Ready to run; waits for resources or for its retry delay.
    case queued
    /// Resources are held and the worker is being started.
    case starting
    /// The worker runs.
    case running
    /// The worker was asked to end and has not ended yet.
    case stopping
    /// Preempted or paused; will resume from its last checkpoint.
    case paused
    case succeeded
    case failed
    case cancelled
    /// A need failed, or `if` was false.
    case skipped
    /// The outcome cannot be known: the supervisor vanished without an exit record.
    case lost

    public var isTerminal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled, .skipped, .lost: true
        case .waiting, .queued, .starting, .running, .stopping, .paused: false
        }
    }

    /// True while an attempt of the job may hold resources.
    public var holdsResources: Bool {
        switch self {
        case .starting, .running, .stopping: true
        default: false
        }
    }

    /// The states that may follow this one without a user's retry.
    public var successors: Set<JobState> {
        switch self {
        case .waiting: [.queued, .paused, .skipped, .cancelled]
        case .queued: [.waiting, .starting, .paused, .skipped, .cancelled, .succeeded, .failed]
        // A server that no job uses at present goes back to `waiting`.
        case .starting: [.running, .stopping, .waiting, .queued, .paused, .succeeded, .failed, .cancelled, .lost]
        case .running: [.stopping, .waiting, .queued, .paused, .succeeded, .failed, .cancelled, .lost]
        case .stopping: [.waiting, .queued, .paused, .succeeded, .failed, .cancelled, .lost]
        case .paused: [.waiting, .queued, .cancelled]
        case .succeeded, .failed, .cancelled, .skipped, .lost: []
        }
    }

    /// The states from which a user's retry may reopen the job.
    public static let retryable: Set<JobState> = [.failed, .cancelled, .skipped, .lost]
}

/// The states of an attempt: one execution of a job.
public enum AttemptState: String, Sendable, CaseIterable, Hashable, Codable {
    case starting
    case running
    case stopping
    case succeeded
    case failed
    case cancelled
    /// Ended on request with its progress kept; a later attempt resumes it.
    case paused
    case lost

    public var isTerminal: Bool {
        switch self {
        case .starting, .running, .stopping: false
        case .succeeded, .failed, .cancelled, .paused, .lost: true
        }
    }
}

/// The states of an experiment, which follow from those of its jobs.
public enum ExperimentState: String, Sendable, CaseIterable, Hashable, Codable {
    /// No job has started yet.
    case pending
    case running
    case succeeded
    case failed
    case cancelled

    public var isTerminal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled: true
        case .pending, .running: false
        }
    }

    /// The state of an experiment whose jobs have these states.
    ///
    /// A failed or lost job fails it; else a cancelled one cancels it. A job skipped by `if` does not count against it.
    public static func derived(from jobs: some Sequence<JobState>) -> ExperimentState {
        var seen: Set<JobState> = []
        for state in jobs { seen.insert(state) }
        if seen.allSatisfy(\.isTerminal) {
            if seen.contains(.failed) || seen.contains(.lost) { return .failed }
            return seen.contains(.cancelled) ? .cancelled : .succeeded
        }
        return seen.isSubset(of: [.waiting, .queued]) ? .pending : .running
    }
}
