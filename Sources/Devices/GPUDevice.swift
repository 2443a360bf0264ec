import Domain

/// A GPU, with what could be read of it. A reading that the driver refuses is `nil`, never zero.
public struct GPUDevice: Sendable, Hashable {
    /// A process that computes on a GPU.
    public struct Process: Sendable, Hashable {
        public var pid: Int32
        /// Bytes of GPU memory; `nil` where the driver does not tell.
        public var memoryBytes: Int64?

        public init(pid: Int32, memoryBytes: Int64?) {
            self.pid = pid
            self.memoryBytes = memoryBytes
        }
    }

    /// The driver's number; it may change with a reboot.
    public var index: Int
    /// What names the GPU for good and what CUDA_VISIBLE_DEVICES is given.
    public var uuid: String
    public var name: String
    public var memoryBytes: Int64
    /// True for a GPU that does not exist.
    public var isSimulated: Bool
    /// Percent of the last sampling period during which a kernel ran.
    public var utilization: Int?
    /// In use by whomever; some hundred megabytes are taken even on an idle GPU.
    public var memoryUsedBytes: Int64?
    /// Degrees Celsius.
    public var temperature: Int?
    public var powerMilliwatts: Int?
    /// Megahertz, now.
    public var smClockMHz: Int?
    public var memoryClockMHz: Int?
    /// What holds the clocks down, as bits (nvml.h: nvmlClocksThrottleReasons).
    public var throttleReasons: UInt64?
    /// Kilobytes a second over PCIe, in the driver's last sampling period.
    public var pcieTransmitKBps: Int?
    public var pcieReceiveKBps: Int?
    /// KiB over NVLink since the driver was loaded.
    public var nvlinkTransmitKiB: Int?
    public var nvlinkReceiveKiB: Int?
    /// Memory errors that were corrected, since the driver was loaded.
    public var correctedErrors: Int?
    /// An empty list, and not unused memory, is what makes a GPU idle.
    public var processes: [Process]?
    /// The NUMA node of its PCI slot.
    public var numaNode: Int?
    /// GPUs of equal number reach each other over NVLink.
    public var nvlinkIsland: Int?
    /// The UUID of the GPU that a MIG device is a part of.
    public var parent: String?
    /// True where the driver lists it and cannot reach it any more.
    public var isLost = false
    /// True where memory rows that failed could not be replaced by spare ones.
    public var hasRemappingFailure = false
    /// Memory errors that could not be corrected, since the driver was loaded.
    public var uncorrectedErrors: Int?
    /// Whether the driver stays loaded while nobody uses the GPU; read with the slow readings.
    public var hasPersistence: Bool?
    /// The driver's error code of a fault; only simulated GPUs keep one, others report it once to `watchFaults`.
    public var xid: Int?

    /// A GPU without readings.
    public init(index: Int, uuid: String, name: String, memoryBytes: Int64, isSimulated: Bool) {
        self.index = index
        self.uuid = uuid
        self.name = name
        self.memoryBytes = memoryBytes
        self.isSimulated = isSimulated
    }

    /// The GPU as the scheduler sees it.
    public var slot: GPUSlot {
        var slot = GPUSlot(uuid: uuid, model: name, memoryBytes: memoryBytes)
        slot.numaNode = numaNode
        slot.nvlinkIsland = nvlinkIsland
        slot.parent = parent
        return slot
    }

    /// The nth GPU of a simulated machine.
    static func simulated(_ index: Int) -> GPUDevice {
        let digits = String(index)
        let uuid = "GPU-sim-00000000-0000-0000-0000-" + String(repeating: "0", count: max(0, 12 - digits.utf8.count)) + digits
        return GPUDevice(index: index, uuid: uuid, name: "Simulated GPU 80GB", memoryBytes: 80 << 30, isSimulated: true)
    }
}
