import APITypes
import Domain
import Glibc
import Store

// Self-examination: is what a team needs there, and what to do where it is not.
extension AnnealService {
    /// Looks at the database, the programs, Python, the disk and the GPUs.
    public func doctor() async throws -> DoctorView {
        let configuration = configuration
        let machine = try await files.run { Self.machineChecks(configuration) }
        let database = try await store.read { try $0.quickCheck() }
        let check = DoctorCheck(
            name: "database", ok: database == "ok", detail: database == "ok" ? "\(configuration.databasePath) is sound" : database,
            advice: database == "ok" ? nil : "stop the daemon and restore the newest file of \(configuration.dataDirectory)/backups")
        let gpus = DoctorCheck(
            name: "gpus", ok: true,
            detail: "\(capacity.gpus.count) from \(devices.source)" + (devices.message.isEmpty ? "" : ": \(devices.message)"))
        let groups = DoctorCheck(name: "control_groups", ok: true, detail: controlGroups.status)
        return DoctorView(checks: [check] + machine + [gpus, groups])
    }

    private nonisolated static func machineChecks(_ configuration: ServiceConfiguration) -> [DoctorCheck] {
        [
            executable("shim", configuration.shimPath), executable("worker", configuration.workerPath), python(configuration),
            disk(configuration.dataDirectory),
        ]
    }

    private nonisolated static func executable(_ name: String, _ path: String) -> DoctorCheck {
        let ok = access(path, X_OK) == 0
        return DoctorCheck(
            name: name, ok: ok, detail: ok ? path : "\(path) cannot be executed",
            advice: ok ? nil : "install it beside anneald, or set '\(name)' in the configuration")
    }

    private nonisolated static func python(_ configuration: ServiceConfiguration) -> DoctorCheck {
        guard let python = configuration.pythonPath, let trainer = configuration.trainerDirectory else {
            return DoctorCheck(
                name: "python", ok: false, detail: "no Python with PyTorch was found; train and convert jobs cannot run",
                advice: "run 'make build', or set 'python' and 'trainer' in the configuration")
        }
        return DoctorCheck(name: "python", ok: access(python, X_OK) == 0, detail: "\(python), trainer in \(trainer)")
    }

    private nonisolated static func disk(_ path: String) -> DoctorCheck {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else {
            return DoctorCheck(name: "disk", ok: false, detail: "\(path): \(String(cString: strerror(errno)))")
        }
        let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
        let total = UInt64(status.f_blocks) * UInt64(status.f_frsize)
        let ok = free > 5 << 30
        return DoctorCheck(
            name: "disk", ok: ok, detail: "\(free >> 30) of \(total >> 30) GiB free at \(path)",
            advice: ok ? nil : "checkpoints will not fit: delete old ones (anneal checkpoints rm) or move the data folder")
    }
}
