import APITypes
import Devices

/// What the driver says of the GPUs. Blocks.
enum GPUExamination {
    static func checks(_ devices: DeviceInventory) -> [DoctorCheck] {
        let found = devices.fullReadings()
        let count = "\(found.count) from \(devices.source)" + (devices.message.isEmpty ? "" : ": \(devices.message)")
        var checks = [DoctorCheck(name: "gpus", ok: true, detail: count)]
        for gpu in found {
            let name = "gpu \(gpu.index)"
            let health = DeviceHealth.judge(gpu)
            if let reason = health.reason {
                checks.append(
                    DoctorCheck(
                        name: name, ok: false, detail: "\(gpu.uuid): \(reason)",
                        advice: "see 'dmesg | grep -i xid' and reset or replace it; 'anneal gpus drain \(gpu.index)' keeps jobs off it"))
            } else if let errors = gpu.uncorrectedErrors, errors > 0 {
                checks.append(
                    .warning(
                        name, "\(gpu.uuid): \(errors) memory errors that could not be corrected since the driver was loaded",
                        advice: "reset it when it is idle (nvidia-smi --gpu-reset); replace it where they come again"))
            } else if gpu.hasPersistence == false {
                checks.append(
                    .warning(
                        name, "\(gpu.uuid): persistence mode is off, so each start of a job loads the driver anew",
                        advice: "run nvidia-persistenced, or 'nvidia-smi --persistence-mode=1'"))
            }
        }
        return checks
    }
}
