import CUV

/// Calls a closure on the loop whenever a file, or something directly in a folder, changes (inotify).
///
/// Changes are coalesced and may be lost under load, so the closure is a reason to look and no record of what happened.
/// A watched file that is replaced by a rename is watched no more; watch its folder where that can be. The loop keeps a
/// watcher alive until `cancel`.
@LoopActor
public final class PathWatcher {
    private var handle: UnsafeMutablePointer<uv_fs_event_t>?
    private var body: (@LoopActor (String?) -> Void)?

    /// Starts to watch; throws `ENOENT` where nothing is there, `ENOSPC` where the user has no watches left.
    ///
    /// - Parameter body: gets the name that changed within a watched folder (a watched file's own name), where known.
    public init(path: String, _ body: @escaping @LoopActor (String?) -> Void) throws(UVError) {
        let handle = UnsafeMutablePointer<uv_fs_event_t>.allocate(capacity: 1)
        let status = uv_fs_event_init(LoopExecutor.shared.loop, handle)
        guard status == 0 else {
            handle.deallocate()
            throw UVError(call: "uv_fs_event_init", code: status)
        }
        self.handle = handle
        self.body = body
        UVHandle.attach(self, to: handle)
        let started = uv_fs_event_start(
            handle,
            { handle, name, _, status in
                guard let handle, let watcher = UVHandle.owner(of: handle, as: PathWatcher.self) else { return }
                let name = status < 0 ? nil : name.map { String(cString: $0) }
                LoopActor.assumeIsolated { watcher.body?(name) }
            }, path, 0)
        guard started == 0 else {
            cancel()
            throw UVError(call: "uv_fs_event_start", code: started)
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
