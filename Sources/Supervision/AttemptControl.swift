import EventLoop

/// A live attempt that is watched, wherever it runs, and can be told to end.
@LoopActor
public protocol AttemptControl: AnyObject, Sendable {
    /// The worker's first process, once its program runs; its number is of the machine that it runs on.
    var workerPID: Int32? { get }

    /// Asks the worker to end, by `ladder` or by that of its launch; `reason` comes back in the exit record.
    func stop(reason: String, ladder: StopLadder?) async throws

    /// Writes what the worker's processes are at to stacks.txt in the attempt's folder.
    func dump() async throws

    /// What the worker's tree has used so far; `nil` where that is not known.
    func usage() async throws -> WorkerUsage?

    /// Stops to watch, and leaves the worker alone. No event comes after it.
    func detach()
}

extension AttemptHandle: AttemptControl {}
