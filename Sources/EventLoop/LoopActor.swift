/// The isolation of everything that lives on the libuv loop: sockets, timers, watchers, connections.
///
/// Calls among `LoopActor` code are plain calls. Nothing isolated to it may block.
@globalActor
public actor LoopActor {
    public static let shared = LoopActor()

    public nonisolated var unownedExecutor: UnownedSerialExecutor { LoopExecutor.shared.asUnownedSerialExecutor() }

    /// Calls `body` at once as loop-isolated code; traps unless the caller runs on the loop's thread.
    ///
    /// This is how C callbacks enter: a `Task` would cost an allocation and could be overtaken by another.
    @inlinable
    public static func assumeIsolated<Success>(_ body: @LoopActor () throws -> Success) rethrows -> Success {
        precondition(LoopExecutor.shared.isOnLoopThread, "not on the loop's thread")
        // Isolation to a global actor is no part of a function's representation; the check above stands in for the
        // hop. `MainActor.assumeIsolated` of the standard library is built in the same way.
        return try withoutActuallyEscaping(body) { body in
            try unsafeBitCast(body, to: (() throws -> Success).self)()
        }
    }

    /// Runs `body` on the loop and returns its result.
    public static func run<Success: Sendable>(_ body: @LoopActor @Sendable () throws -> Success) async rethrows -> Success {
        try await body()
    }
}
