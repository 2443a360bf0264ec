import Domain

/// Where a job goes after an attempt.
enum NextState: Sendable, Equatable {
    case ended(JobState)
    case again(Duration)
    case paused
    /// Paused, and in the queue again.
    case givenWay
    /// A server that waits until a job needs it again.
    case resting

    /// - Parameter isNeeded: whether jobs that use the server are still to come; of no matter for other jobs.
    init(_ outcome: AttemptOutcome, isNeeded: Bool) {
        self =
            switch outcome.disposition {
            case .succeed: .ended(.succeeded)
            case .fail: .ended(.failed)
            case .cancel: .ended(.cancelled)
            case .lose: .ended(.lost)
            case .pause: .paused
            case .giveWay: .givenWay
            case .rest: isNeeded ? .resting : .ended(.succeeded)
            case .retry(let delay, _): .again(delay)
            }
    }

    /// What becomes of a job that would go on, where somebody asked for another end: `reason` is why it was being stopped.
    func yielding(to reason: Reason?) -> NextState {
        switch (self, reason) {
        case (.ended, _): self
        case (_, .cancelled?), (_, .superseded?): .ended(.cancelled)
        case (.again, .paused?), (.givenWay, .paused?): .paused
        default: self
        }
    }

    /// The reason of a job that came here since `asked` was why it was being stopped.
    func reason(of asked: Reason?) -> Reason { self == .paused ? .userRequest : asked ?? .cancelled }

    /// What is said of a job that came here by request instead of going on after an attempt that ended so.
    func message(instead ending: String?) -> String {
        "\(state.rawValue) by request; its attempt had ended by itself" + (ending.map { ": \($0)" } ?? "")
    }

    var state: JobState {
        switch self {
        case .ended(let state): state
        case .again: .queued
        case .paused, .givenWay: .paused
        case .resting: .waiting
        }
    }
}
