import CUV

/// Calls a closure on the loop whenever a file descriptor is ready: a socket, a pipe, a pidfd, an inotify descriptor.
///
/// Level-triggered: the closure is called again while the condition holds. The descriptor is made non-blocking and stays
/// the caller's, who must cancel the watcher before closing it. The loop keeps a watcher alive until `cancel`.
@LoopActor
public final class DescriptorWatcher {
    /// What a descriptor can be ready for.
    public struct Events: OptionSet, Sendable, Hashable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        public static let readable = Events(rawValue: Int32(UV_READABLE.rawValue))
        public static let writable = Events(rawValue: Int32(UV_WRITABLE.rawValue))
        /// The peer closed its side, or the descriptor failed. After a failure it is the only event, and the last one.
        public static let disconnect = Events(rawValue: Int32(UV_DISCONNECT.rawValue))
    }

    private var handle: UnsafeMutablePointer<uv_poll_t>?
    private var body: (@LoopActor (Events) -> Void)?

    /// Starts to watch.
    ///
    /// Throws `EEXIST` when the descriptor is watched already, `EPERM` for one that cannot be polled (a plain file).
    public init(descriptor: Int32, events: Events, _ body: @escaping @LoopActor (Events) -> Void) throws(UVError) {
        let handle = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        let status = uv_poll_init(LoopExecutor.shared.loop, handle, descriptor)
        guard status == 0 else {
            handle.deallocate()
            throw UVError(call: "uv_poll_init", code: status)
        }
        self.handle = handle
        self.body = body
        UVHandle.attach(self, to: handle)
        let started = start(events)
        guard started == 0 else {
            cancel()
            throw UVError(call: "uv_poll_start", code: started)
        }
    }

    /// Watches for other events from now on; none for a pause. Does nothing after `cancel`.
    public func update(events: Events) {
        guard let handle else { return }
        if events.isEmpty { uv_poll_stop(handle) } else { _ = start(events) }
    }

    private func start(_ events: Events) -> Int32 {
        uv_poll_start(handle, events.rawValue) { handle, status, events in
            guard let handle, let watcher = UVHandle.owner(of: handle, as: DescriptorWatcher.self) else { return }
            LoopActor.assumeIsolated { watcher.body?(status < 0 ? .disconnect : Events(rawValue: events)) }
        }
    }

    /// Stops to watch. When it returns the descriptor may be closed. Does nothing the second time.
    public func cancel() {
        guard let handle else { return }
        self.handle = nil
        body = nil
        UVHandle.close(handle)
    }
}
