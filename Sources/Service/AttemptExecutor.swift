import Domain
import EventLoop
import Slurm
import Store
import Supervision

/// Where attempts run: this machine, or a cluster.
@LoopActor
protocol AttemptExecutor: AnyObject, Sendable {
    /// Starts an attempt, or hands it to whoever starts it later; what becomes of it follows as events, which may come before this returns.
    ///
    /// - Parameter predecessor: the folder of the job's attempt before this one; `nil` for the first, and where it does not matter.
    func start(
        _ launch: AttemptLaunch, of record: JobRecord, attempt: String, after predecessor: String?,
        onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> any AttemptControl

    /// No further attempt follows one that has ended.
    func dropSuccessor(of directory: String) async

    /// Finds out what became of an attempt that an earlier daemon started, and watches it where it has not ended.
    func takeUp(
        _ attempt: AttemptRecord, of record: JobRecord, onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> TakenUpAttempt
}

/// What became of an attempt that an earlier daemon started.
enum TakenUpAttempt {
    case running(any AttemptControl)
    case ended(ExitRecord)
    case unsupervised(UnsupervisedWorker)
    /// No line of the worker's program has run or will: it may be started anew.
    case neverStarted
    case lost(evidence: String)
}

extension Supervisor: AttemptExecutor {
    /// Nothing waits here behind an attempt.
    func dropSuccessor(of directory: String) async {}

    func start(
        _ launch: AttemptLaunch, of record: JobRecord, attempt: String, after predecessor: String?,
        onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> any AttemptControl { try await start(launch, onEvent: onEvent) }

    func takeUp(
        _ attempt: AttemptRecord, of record: JobRecord, onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> TakenUpAttempt {
        switch await reattach(directory: attempt.directory, onEvent: onEvent) {
        case .running(let handle): .running(handle)
        case .ended(let exit): .ended(exit)
        case .unsupervised(let worker): .unsupervised(worker)
        case .neverStarted: .neverStarted
        case .lost(let evidence): .lost(evidence: evidence)
        }
    }
}

extension SlurmExecutor: AttemptExecutor {
    func start(
        _ launch: AttemptLaunch, of record: JobRecord, attempt: String, after predecessor: String?,
        onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> any AttemptControl {
        var order = SlurmOrder(
            attemptID: attempt, jobID: record.id, priority: record.priority, resources: record.resources, timeLimit: record.timeout,
            grace: launch.ladder.length, isHeld: record.isHeld)
        // Others are told in time by the signal before the end.
        order.asksForEnd = record.kind == .train
        order.predecessor = predecessor
        order.group = record.group.map { record.experimentID + "/" + $0 }
        return try await start(launch, order, onEvent: onEvent)
    }

    func takeUp(
        _ attempt: AttemptRecord, of record: JobRecord, onEvent: @escaping @LoopActor (AttemptEvent) -> Void
    ) async throws -> TakenUpAttempt {
        let found = try await takeUp(
            directory: attempt.directory, attemptID: attempt.id, externalID: attempt.externalID,
            grace: record.grace ?? StopLadder().length, onEvent: onEvent)
        return switch found {
        case .watched(let handle): .running(handle)
        case .ended(let exit): .ended(exit)
        case .neverStarted: .neverStarted
        }
    }
}
