import CUV

/// A pointer to a libuv handle seen as libuv's base type.
@inlinable
package func uvHandle<Handle>(_ handle: UnsafeMutablePointer<Handle>) -> UnsafeMutablePointer<uv_handle_t> {
    UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)
}

/// A libuv handle on the heap together with the Swift object that it calls.
///
/// libuv may use a handle until its close callback has run, so the memory is freed only there, and the owner is retained
/// from `attach` until then.
@LoopActor
package enum UVHandle {
    /// Makes `owner` the handle's owner and retains it until the handle is closed.
    package static func attach<Handle, Owner: AnyObject>(_ owner: Owner, to handle: UnsafeMutablePointer<Handle>) {
        uvHandle(handle).pointee.data = Unmanaged.passRetained(owner).toOpaque()
    }

    /// The owner that `attach` gave the handle.
    @inlinable
    package nonisolated static func owner<Handle, Owner: AnyObject>(
        of handle: UnsafeMutablePointer<Handle>, as type: Owner.Type = Owner.self
    ) -> Owner? {
        guard let data = uvHandle(handle).pointee.data else { return nil }
        return Unmanaged<Owner>.fromOpaque(data).takeUnretainedValue()
    }

    /// Closes an initialised handle; when libuv has let go of it, its memory is freed and its owner released.
    package static func close<Handle>(_ handle: UnsafeMutablePointer<Handle>) {
        uv_close(uvHandle(handle)) { handle in
            guard let handle else { return }
            let owner = handle.pointee.data
            UnsafeMutableRawPointer(handle).deallocate()
            if let owner { Unmanaged<AnyObject>.fromOpaque(owner).release() }
        }
    }
}
