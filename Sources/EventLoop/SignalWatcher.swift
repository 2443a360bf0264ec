import CUV

/// Calls a closure on the loop whenever the process gets a signal, in place of the signal's default effect.
///
/// The loop keeps a watcher alive until `cancel`, which restores the default when it was the last for its signal.
@LoopActor
public final class SignalWatcher {
    private var handle: UnsafeMutablePointer<uv_signal_t>?
    private var body: (@LoopActor () -> Void)?

    /// Starts to watch; throws `EINVAL` for a signal that cannot be caught.
    public init(signal: Int32, _ body: @escaping @LoopActor () -> Void) throws(UVError) {
        let handle = UnsafeMutablePointer<uv_signal_t>.allocate(capacity: 1)
        let status = uv_signal_init(LoopExecutor.shared.loop, handle)
        guard status == 0 else {
            handle.deallocate()
            throw UVError(call: "uv_signal_init", code: status)
        }
        self.handle = handle
        self.body = body
        UVHandle.attach(self, to: handle)
        let started = uv_signal_start(
            handle,
            { handle, _ in
                guard let handle, let watcher = UVHandle.owner(of: handle, as: SignalWatcher.self) else { return }
                LoopActor.assumeIsolated { watcher.body?() }
            }, signal)
        guard started == 0 else {
            cancel()
            throw UVError(call: "uv_signal_start", code: started)
        }
    }

    /// Stops to watch. Does nothing the second time.
    public func cancel() {
        guard let handle else { return }
        self.handle = nil
        body = nil
        UVHandle.close(handle)
    }
}
