import CUV

extension Duration {
    /// Whole milliseconds, rounded up, so that a timer never fires early; none below zero.
    package var loopMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        return overflow ? UInt64(Int64.max) : whole + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

/// Calls a closure on the loop once after a while, or again and again.
///
/// The loop keeps a running timer alive: it fires although nobody holds it. It ends when it has fired (unless it
/// repeats) or with `cancel`, and lets go of its closure then.
@LoopActor
public final class LoopTimer {
    private var handle: UnsafeMutablePointer<uv_timer_t>?
    private var body: (@LoopActor () -> Void)?
    private let repeats: Bool

    /// Starts the timer. Timers of equal time fire in the order of their starts.
    ///
    /// - Parameters:
    ///   - after: time until the first call, at millisecond resolution, rounded up.
    ///   - every: time between later calls (at least 1 ms); none for a timer that fires once.
    public init(after: Duration, every: Duration? = nil, _ body: @escaping @LoopActor () -> Void) {
        let handle = UnsafeMutablePointer<uv_timer_t>.allocate(capacity: 1)
        self.handle = handle
        self.body = body
        repeats = every != nil
        let loop = LoopExecutor.shared.loop
        // uv_timer_init cannot fail, and uv_timer_start only without a callback.
        uv_timer_init(loop, handle)
        UVHandle.attach(self, to: handle)
        // libuv counts from the loop's cached time, which is old when a callback before this one took long.
        uv_update_time(loop)
        uv_timer_start(
            handle,
            { handle in
                guard let handle, let timer = UVHandle.owner(of: handle, as: LoopTimer.self) else { return }
                LoopActor.assumeIsolated { timer.fire() }
            }, after.loopMilliseconds, every.map { max(1, $0.loopMilliseconds) } ?? 0)
    }

    /// Whether the timer will still fire.
    public var isActive: Bool { handle != nil }

    /// Stops the timer: its closure is not called again. Does nothing when it has ended already.
    public func cancel() {
        guard let handle else { return }
        self.handle = nil
        body = nil
        UVHandle.close(handle)
    }

    private func fire() {
        let body = self.body
        if !repeats { cancel() }
        body?()
    }
}
