import Domain
import Glibc
import Synchronization

/// Listens for faults of GPUs on a thread of its own, since the driver only lets one wait for them.
public final class DeviceWatch: Sendable {
    /// How long `stop` may take to be seen.
    private static let waitMilliseconds: UInt32 = 500

    private let isStopped = Atomic<Bool>(false)

    init(_ library: NVML, _ events: NVML.EventSet, onFault: @escaping @Sendable (GPUFault) -> Void) {
        let thread = DetachedThread { [weak self] in
            while let self, !self.isStopped.load(ordering: .acquiring) {
                guard let event = library.nextEvent(of: events, milliseconds: Self.waitMilliseconds) else { continue }
                var moment = timespec()
                clock_gettime(CLOCK_REALTIME, &moment)
                let text = event.xid.map { "Xid \($0)" } ?? "a memory error that could not be corrected"
                onFault(
                    GPUFault(
                        uuid: event.uuid, xid: event.xid, kind: event.xid == nil ? "ecc" : "xid", message: "the driver reported \(text)",
                        at: Timestamp(milliseconds: Int64(moment.tv_sec) * 1000 + Int64(moment.tv_nsec) / 1_000_000)))
            }
        }
        thread.start()
    }

    /// Ends the thread, within half a second.
    public func stop() { isStopped.store(true, ordering: .releasing) }
}

/// A thread that nobody waits for.
private final class DetachedThread: Sendable {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func start() {
        var thread = pthread_t()
        let this = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<DetachedThread>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, this.toOpaque())
        if result == 0 { pthread_detach(thread) } else { this.release() }
    }
}
