import Glibc

// Faults that the driver reports as they happen.
extension NVML {
    private typealias CreateCall = @convention(c) (UnsafeMutablePointer<OpaquePointer?>) -> Int32
    private typealias RegisterCall = @convention(c) (Handle, UInt64, OpaquePointer) -> Int32
    private typealias WaitCall = @convention(c) (OpaquePointer, UnsafeMutableRawPointer, UInt32) -> Int32
    private typealias UUIDCall = @convention(c) (Handle, UnsafeMutablePointer<CChar>, UInt32) -> Int32

    /// A fault as the driver tells it.
    struct Event: Sendable {
        var uuid: String
        /// The driver's error code; `nil` for a memory error that could not be corrected.
        var xid: Int?
    }

    private static let doubleBitError: UInt64 = 0x2  // nvmlEventTypeDoubleBitEccError
    private static let criticalXid: UInt64 = 0x8  // nvmlEventTypeXidCriticalError
    /// `nvmlEventData_t`: device (8 bytes), type (8), data (8), and the two MIG instances (4 each).
    private static let eventBytes = 32

    /// A set of events of all these GPUs; `nil` where the driver offers none.
    func eventSet(for uuids: [String]) -> EventSet? {
        var set: OpaquePointer?
        guard let create = function("nvmlEventSetCreate", as: CreateCall.self), create(&set) == Self.success, let set,
            let register = function("nvmlDeviceRegisterEvents", as: RegisterCall.self)
        else { return nil }
        var isAny = false
        for handle in uuids.compactMap(handle(uuid:)) {
            // A GPU without error correction refuses the first of the two.
            let both = register(handle, Self.doubleBitError | Self.criticalXid, set) == Self.success
            isAny = both || register(handle, Self.criticalXid, set) == Self.success || isAny
        }
        return isAny ? EventSet(set: set) : nil
    }

    /// Waits for the next fault, up to so many milliseconds; `nil` where there was none.
    func nextEvent(of events: EventSet, milliseconds: UInt32) -> Event? {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.eventBytes, alignment: 8)
        defer { bytes.deallocate() }
        guard let wait = function("nvmlEventSetWait_v2", as: WaitCall.self), let base = bytes.baseAddress,
            wait(events.set, base, milliseconds) == Self.success, let device = base.load(as: Handle?.self)
        else { return nil }
        var name = [CChar](repeating: 0, count: 96)
        guard let call = function("nvmlDeviceGetUUID", as: UUIDCall.self), call(device, &name, 96) == Self.success else { return nil }
        let uuid = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let type = base.load(fromByteOffset: 8, as: UInt64.self)
        let code = base.load(fromByteOffset: 16, as: UInt64.self)
        return Event(uuid: uuid, xid: type == Self.criticalXid ? Int(clamping: code) : nil)
    }

    /// `@unchecked Sendable`: an opaque pointer that is only ever handed to NVML, which may be called from any thread.
    final class EventSet: @unchecked Sendable {
        let set: OpaquePointer

        init(set: OpaquePointer) { self.set = set }
    }
}
