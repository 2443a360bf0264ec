import APITypes
import Devices
import Domain
import Glibc
import Store
import Supervision

// Self-examination: is what a team needs there, and what to do where it is not.
extension AnnealService {
    /// Looks at the database, the programs, Python, the disk, limits, the clock and the GPUs.
    ///
    /// - Parameter isDeep: whether Python is to import the trainer and clusters are to run a short job, which takes seconds.
    public func doctor(isDeep: Bool = false) async throws -> DoctorView {
        let (configuration, devices, moment) = (configuration, devices, now)
        let facts = try await store.read { reader in
            (
                verdict: try reader.quickCheck(), bytes: try reader.databaseSize(), newest: try reader.newestMoment(),
                live: Set(try reader.liveAttempts().map(\.id))
            )
        }
        var checks = [Self.database(facts.verdict, bytes: facts.bytes, configuration)]
        checks += try await files.run { MachineExamination(configuration: configuration).checks() }
        checks.append(ClockExamination.check(now: moment, newest: facts.newest))
        checks += try await asking.run { PythonExamination(configuration: configuration).checks(isDeep: isDeep) }
        checks += try await gpuThread.run { GPUExamination.checks(devices) }
        checks.append(Self.controlGroups(controlGroups))
        checks.append(try await files.run { try ShimExamination.check(below: configuration.attemptsDirectory, live: facts.live) })
        let secrets = secrets
        checks.append(try await files.run { Self.secretCheck(secrets) })
        checks.append(try await containerThread.run { Self.containerCheck(configuration.containers) })
        return DoctorView(checks: checks + (try await clusterChecks(isDeep: isDeep)))
    }

    private nonisolated static func secretCheck(_ secrets: SecretSource) -> DoctorCheck {
        if let complaint = secrets.complaint() {
            return DoctorCheck(
                name: "secrets", ok: false, detail: complaint, advice: "jobs that name secrets are refused until the file is put right")
        }
        let names = secrets.names()
        return DoctorCheck(
            name: "secrets", ok: true, detail: names.isEmpty ? "none in files" : "in files: \(names.joined(separator: ", "))")
    }

    private nonisolated static func database(_ verdict: String, bytes: Int64, _ configuration: ServiceConfiguration) -> DoctorCheck {
        guard verdict == "ok" else {
            return DoctorCheck(
                name: "database", ok: false, detail: verdict,
                advice: "stop the daemon and bring a backup back by 'anneal restore', or the newest file of "
                    + "\(configuration.dataDirectory)/backups")
        }
        return DoctorCheck(name: "database", ok: true, detail: "\(configuration.databasePath) is sound, \(bytes >> 20) MiB")
    }

    private nonisolated static func controlGroups(_ tree: ControlGroupTree) -> DoctorCheck {
        if tree.limitsMemory { return DoctorCheck(name: "control_groups", ok: true, detail: tree.status) }
        return .warning(
            "control_groups", tree.status, advice: "run the daemon as a systemd service with Delegate=yes (deploy/systemd), or as root")
    }
}
