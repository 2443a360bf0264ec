import Domain

/// The GPUs of this machine.
///
/// What there is, is read once, at the start. `readings` may be called from any thread, and blocks while the driver answers (usually
/// less than a millisecond, at times much more): it does not belong on the loop.
public final class DeviceInventory: Sendable {
    /// Where the inventory comes from: `nvml`, `simulated` or `none`.
    public let source: String
    /// In a sentence for people: what was found, or why nothing was.
    public let message: String

    private let found: [GPUDevice]
    private let nvml: NVML?

    /// Looks for GPUs. A missing driver under `auto` is no error: the machine has no GPUs then, and `message` says why.
    ///
    /// Throws `NVMLError` where the driver is there and fails, since a service that then calls the machine empty would be lying.
    public init(mode: GPUMode) throws {
        switch mode {
        case .none:
            (source, message, found, nvml) = ("none", "GPUs are turned off", [], nil)
        case .simulated(let count):
            let devices = SimulatedGPUs.read((0..<count).map(GPUDevice.simulated))
            (source, message, found, nvml) = ("simulated", "\(count) simulated GPUs; no such devices exist", devices, nil)
        case .auto:
            switch try NVML.load() {
            case .failure(let absence):
                (source, message, found, nvml) = ("none", "no GPUs: \(absence.reason)", [], nil)
            case .success(let library):
                let devices = try library.devices()
                let version = library.driverVersion().map { " with driver \($0)" } ?? ""
                let text = devices.isEmpty ? "the NVIDIA driver knows no GPU" : "\(devices.count) GPUs found\(version)"
                (source, message, found, nvml) = (devices.isEmpty ? "none" : "nvml", text, devices, library)
            }
        }
    }

    /// The GPUs in index order, without readings.
    public func devices() -> [GPUDevice] { found }

    /// The GPUs in index order, with what can be read of each right now.
    public func readings() -> [GPUDevice] {
        guard let nvml else { return source == "simulated" ? SimulatedGPUs.read(found) : found }
        return found.map(nvml.read)
    }

    /// Like `readings`, with clocks, throttling and the traffic on links; slower. Simulated GPUs make readings up, which are marked so.
    public func fullReadings() -> [GPUDevice] {
        guard let nvml else { return source == "simulated" ? SimulatedGPUs.read(found).map(SimulatedGPUs.withReadings) : found }
        return found.map(nvml.readAll)
    }

    /// True where `readings` can name the processes on a GPU.
    public var listsProcesses: Bool { nvml != nil || source == "simulated" && SimulatedGPUs.path != nil }

    /// Calls `onFault` on another thread for each fault that the driver reports, until the watch is stopped. `nil` where it reports none.
    public func watchFaults(_ onFault: @escaping @Sendable (GPUFault) -> Void) -> DeviceWatch? {
        guard let nvml, let events = nvml.eventSet(for: Set(found.map { $0.parent ?? $0.uuid }).sorted()) else { return nil }
        return DeviceWatch(nvml, events, onFault: onFault)
    }
}
