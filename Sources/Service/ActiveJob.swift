import Domain
import EventLoop

/// A job that has not ended, as the loop remembers it. What it weighs in memory is paid for every job that waits, so its
/// spec stays in the database.
@LoopActor
final class ActiveJob {
    let id: String
    let experimentID: String
    let resources: ResourceRequest
    var priority: Int
    /// Needs that have not ended.
    var pendingNeeds: Set<String>
    /// Jobs that need this one.
    var dependents: [String] = []
    /// What a user asked of a job whose attempt is being started or runs.
    var stopRequest: StopRequest?
    /// The attempt that is being started or runs.
    var attempt: RunningAttempt?
    /// True from the moment the scheduler chose the job until its attempt has ended.
    var isDispatched = false

    init(id: String, experimentID: String, resources: ResourceRequest, priority: Int, pendingNeeds: Set<String>) {
        self.id = id
        self.experimentID = experimentID
        self.resources = resources
        self.priority = priority
        self.pendingNeeds = pendingNeeds
    }
}

/// Why an attempt is asked to end. The raw value travels to the shim and comes back in the exit record.
enum StopRequest: String, Sendable {
    case cancelled
    case paused
}
