import Glibc
import JSON

/// What simulated GPUs are like, read anew each time from the file that ANNEAL_SIM_GPUS_FILE names, so that a trial can let them fail.
///
///     {"gpus": [{"index": 0, "model": "NVIDIA H200", "memory": 150754820096, "numa_node": 0, "nvlink_island": 0,
///                "processes": [4711], "utilization": 97, "lost": true, "xid": 79, "ecc_uncorrected": 1}]}
enum SimulatedGPUs {
    static let variable = "ANNEAL_SIM_GPUS_FILE"

    /// The file's path; `nil` where none is named.
    static var path: String? { getenv(variable).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } }

    /// The GPUs with what the file says of them. A file that cannot be read changes nothing: it may just be being written.
    static func read(_ devices: [GPUDevice]) -> [GPUDevice] {
        guard let path, let text = SmallFile.text(of: path), let document = try? JSONParser.parse(text) else {  // It may be half written.
            return devices
        }
        let entries = Dictionary(
            (document["gpus"]?.array ?? []).compactMap { entry in entry["index"]?.int.map { ($0, entry) } },
            uniquingKeysWith: { _, last in last })
        return devices.map { device in
            var device = device
            device.processes = []
            guard let entry = entries[device.index] else { return device }
            device.name = entry["model"]?.string ?? device.name
            device.memoryBytes = entry["memory"]?.int.map(Int64.init) ?? device.memoryBytes
            device.numaNode = entry["numa_node"]?.int
            device.nvlinkIsland = entry["nvlink_island"]?.int
            device.utilization = entry["utilization"]?.int
            device.isLost = entry["lost"]?.bool ?? false
            device.xid = entry["xid"]?.int
            device.uncorrectedErrors = entry["ecc_uncorrected"]?.int
            device.processes = (entry["processes"]?.array ?? []).compactMap(\.int).map {
                GPUDevice.Process(pid: Int32(truncatingIfNeeded: $0), memoryBytes: nil)
            }
            return device
        }
    }

    /// Readings that look like those of a GPU at work, so that what shows them can be tried without one.
    static func withReadings(_ device: GPUDevice) -> GPUDevice {
        var device = device
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let wave = 0.5 + 0.5 * sin(Double(time.tv_sec % 3600) / 60 + Double(device.index))
        let isBusy = device.utilization == nil
        device.utilization = device.utilization ?? Int(60 + 39 * wave)
        device.memoryUsedBytes = device.memoryUsedBytes ?? Int64(Double(device.memoryBytes) * (0.5 + 0.2 * wave))
        device.temperature = device.temperature ?? Int(45 + 20 * wave)
        device.powerMilliwatts = device.powerMilliwatts ?? Int(1000 * (isBusy ? 250 + 400 * wave : 90))
        device.smClockMHz = device.smClockMHz ?? 1980
        device.throttleReasons = device.throttleReasons ?? 0
        return device
    }
}
