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
    /// An empty list, and not unused memory, is what makes a GPU idle.
    public var processes: [Process]?

    public init(index: Int, uuid: String, name: String, memoryBytes: Int64, isSimulated: Bool) {
        self.index = index
        self.uuid = uuid
        self.name = name
        self.memoryBytes = memoryBytes
        self.isSimulated = isSimulated
    }

    /// The nth GPU of a simulated machine.
    static func simulated(_ index: Int) -> GPUDevice {
        let digits = String(index)
        let uuid = "GPU-sim-00000000-0000-0000-0000-" + String(repeating: "0", count: max(0, 12 - digits.utf8.count)) + digits
        return GPUDevice(index: index, uuid: uuid, name: "Simulated GPU 80GB", memoryBytes: 80 << 30, isSimulated: true)
    }
}
