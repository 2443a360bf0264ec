import APITypes
import Glibc

/// What the machine offers the daemon: programs, disk, limits, permissions. Blocks.
struct MachineExamination: Sendable {
    private static let freeBytesMin: UInt64 = 5 << 30
    /// The share of inodes below which folders of checkpoints soon cannot be made.
    private static let freeInodesMin = 0.02
    private static let descriptorsMin: UInt = 8192
    private static let watchesMin = 8192
    private static let instancesMin = 64
    /// A commit waits for the disk once; slower ones make every answer slow.
    private static let flushMillisecondsMax = 50.0
    private static let flushes = 5

    let configuration: ServiceConfiguration

    func checks() -> [DoctorCheck] {
        [
            executable("shim", configuration.shimPath), executable("worker", configuration.workerPath), disk(), flush(), descriptors(),
            inotify(), permissions(),
        ]
    }

    private func executable(_ name: String, _ path: String) -> DoctorCheck {
        let ok = access(path, X_OK) == 0
        return DoctorCheck(
            name: name, ok: ok, detail: ok ? path : "\(path) cannot be executed",
            advice: ok ? nil : "install it beside anneald, or set '\(name)' in the configuration")
    }

    private func disk() -> DoctorCheck {
        let path = configuration.dataDirectory
        var status = statvfs()
        guard statvfs(path, &status) == 0 else {
            return DoctorCheck(name: "disk", ok: false, detail: "\(path): \(String(cString: strerror(errno)))")
        }
        let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
        let total = UInt64(status.f_blocks) * UInt64(status.f_frsize)
        let detail = "\(free >> 30) of \(total >> 30) GiB free at \(path)"
        guard free > Self.freeBytesMin else {
            return DoctorCheck(
                name: "disk", ok: false, detail: detail,
                advice: "checkpoints will not fit: see what 'anneal gc --dry-run' would remove, or move the data folder")
        }
        // A file system without a fixed number of them reports none.
        if status.f_files > 0, Double(status.f_favail) < Double(status.f_files) * Self.freeInodesMin {
            return DoctorCheck(
                name: "disk", ok: false, detail: "\(detail), but only \(status.f_favail) of \(status.f_files) inodes",
                advice: "remove folders of many small files, or move the data folder to a file system with more inodes")
        }
        return DoctorCheck(name: "disk", ok: true, detail: detail)
    }

    /// The middle one of some waits for the disk.
    private func flush() -> DoctorCheck {
        let path = configuration.dataDirectory + "/.doctor-\(getpid())"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            return DoctorCheck(
                name: "fsync", ok: false, detail: "\(path) cannot be written: \(String(cString: strerror(errno)))",
                advice: "give the data folder to the service's user")
        }
        defer {
            close(file)
            unlink(path)
        }
        var times: [Double] = []
        var page = [UInt8](repeating: 0, count: 4096)
        for round in 0..<Self.flushes {
            page[0] = UInt8(round)
            let start = Self.monotonicSeconds()
            guard pwrite(file, page, page.count, 0) == page.count, fsync(file) == 0 else {
                return DoctorCheck(name: "fsync", ok: false, detail: "\(path): \(String(cString: strerror(errno)))")
            }
            times.append((Self.monotonicSeconds() - start) * 1000)
        }
        let median = times.sorted()[Self.flushes / 2]
        let detail = "the disk takes \(Int(median.rounded(.up))) ms to keep a page"
        guard median > Self.flushMillisecondsMax else { return DoctorCheck(name: "fsync", ok: true, detail: detail) }
        return .warning("fsync", detail, advice: "every accepted request waits that long: put the data folder on a local SSD")
    }

    private static func monotonicSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func descriptors() -> DoctorCheck {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let count = UInt(limit.rlim_cur)
        let detail = "\(count) open files allowed"
        guard count < Self.descriptorsMin else { return DoctorCheck(name: "descriptors", ok: true, detail: detail) }
        return .warning(
            "descriptors", detail, advice: "connections and data loaders run out: set LimitNOFILE=65536 in the service, or 'ulimit -n'")
    }

    private func inotify() -> DoctorCheck {
        func number(_ name: String) -> Int? {
            // A file that cannot be read tells nothing, which is no fault.
            guard let file = fopen("/proc/sys/fs/inotify/" + name, "re") else { return nil }
            defer { fclose(file) }
            var text = [UInt8](repeating: 0, count: 32)
            let count = fread(&text, 1, text.count, file)
            return Int(String(decoding: text[..<count], as: UTF8.self).filter(\.isNumber))
        }
        guard let watches = number("max_user_watches"), let instances = number("max_user_instances") else {
            return DoctorCheck(name: "inotify", ok: true, detail: "the kernel tells no limits")
        }
        let detail = "\(watches) watches and \(instances) instances allowed"
        guard watches < Self.watchesMin || instances < Self.instancesMin else {
            return DoctorCheck(name: "inotify", ok: true, detail: detail)
        }
        return .warning(
            "inotify", detail,
            advice: "logs and checkpoints are seen late: set fs.inotify.max_user_watches=524288 and max_user_instances=512 by sysctl")
    }

    /// The data folder and what is secret in it belong to the service's user alone.
    private func permissions() -> DoctorCheck {
        var faults: [String] = []
        let folder = configuration.dataDirectory
        for path in [folder, folder + "/anneal.db", folder + "/token"] {
            var status = stat()
            guard stat(path, &status) == 0 else { continue }
            if status.st_uid != geteuid() { faults.append("\(path) belongs to user \(status.st_uid), and not to \(geteuid())") }
            // The folder keeps everybody out of the database, whatever its own mode.
            if status.st_mode & 0o077 != 0, path != folder + "/anneal.db" {
                faults.append("\(path) has mode \(String(status.st_mode & 0o777, radix: 8))")
            }
        }
        for path in configuration.tokenFiles {
            var status = stat()
            // The group may be the service's own, as the package sets it up.
            guard stat(path, &status) == 0, status.st_mode & 0o007 != 0 else { continue }
            faults.append("\(path), which holds the token, has mode \(String(status.st_mode & 0o777, radix: 8))")
        }
        guard let first = faults.first else {
            return DoctorCheck(name: "permissions", ok: true, detail: "\(folder) is open to its user alone")
        }
        let owner = "chown -R the data folder to the service's user"
        return DoctorCheck(
            name: "permissions", ok: false, detail: faults.joined(separator: "; "),
            advice: first.contains("belongs")
                ? owner : "chmod 700 \(folder); chmod 600 \((configuration.tokenFiles.first ?? folder + "/token"))")
    }
}
