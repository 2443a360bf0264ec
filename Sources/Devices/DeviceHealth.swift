/// Whether a GPU may be given out, by what the driver says of it now.
public struct DeviceHealth: Sendable, Equatable {
    /// A word for the sort of fault: `lost`, `remapping`, `ecc` or `xid`; `none` for a sound GPU.
    public var kind: String
    /// In words; `nil` for a sound GPU.
    public var reason: String?

    /// Judges one reading.
    ///
    /// Memory errors since the driver was loaded are counted against simulated GPUs alone: real ones report each as it happens, and an old
    /// count says nothing about a GPU that has been reset or whose rows were replaced.
    public static func judge(_ device: GPUDevice) -> DeviceHealth {
        if device.isLost { return DeviceHealth(kind: "lost", reason: "it has fallen off the bus: the driver cannot reach it any more") }
        if device.hasRemappingFailure {
            return DeviceHealth(kind: "remapping", reason: "memory rows have failed and there is no spare one left")
        }
        if device.isSimulated, let xid = device.xid {
            return DeviceHealth(kind: "xid", reason: "the driver reported Xid \(xid) (simulated)")
        }
        if device.isSimulated, let errors = device.uncorrectedErrors, errors > 0 {
            return DeviceHealth(kind: "ecc", reason: "\(errors) memory errors that could not be corrected (simulated)")
        }
        return DeviceHealth(kind: "none", reason: nil)
    }
}
