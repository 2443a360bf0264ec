import CPosix
import Glibc

/// A leaf of cgroup v2 for the worker's tree. It is best effort: where it cannot be made, the tree is found through /proc.
///
/// The leaf is made below the shim's own group, so that limits set on the daemon hold for its workers too.
struct ControlGroup {
    let path: String
    /// Open for reading; closed with the process.
    let descriptor: Int32

    /// Makes the leaf `anneal-<name>`; `nil` where there is no cgroup v2 or it may not be written.
    init?(_ choice: ControlGroupChoice, name: String) {
        let parent: String
        switch choice {
        case .none: return nil
        case .below(let path): parent = path
        case .belowOwn:
            guard let own = Self.ownPath() else { return nil }
            parent = own
        }
        let path = parent + "/anneal-" + name
        guard mkdir(path, 0o755) == 0 else { return nil }
        let descriptor = cposix_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else {
            rmdir(path)
            return nil
        }
        self.path = path
        self.descriptor = descriptor
    }

    /// Lets the kernel end the whole tree when it uses more; has no effect where the memory controller is off.
    func limitMemory(to bytes: Int64) {
        for (name, value) in [("memory.max", String(bytes)), ("memory.swap.max", "0"), ("memory.oom.group", "1")] {
            let file = cposix_open(descriptor, name, O_WRONLY | O_CLOEXEC, 0)
            guard file >= 0 else { continue }
            _ = writeAll(Array(value.utf8), to: file)
            close(file)
        }
    }

    /// Kills every process of the group at once; false where the kernel (before 5.14) cannot.
    func kill() -> Bool {
        let file = cposix_open(descriptor, "cgroup.kill", O_WRONLY | O_CLOEXEC, 0)
        guard file >= 0 else { return false }
        defer { close(file) }
        return write(file, "1", 1) == 1
    }

    /// How many of its processes the kernel killed for want of memory; `nil` where the memory controller is not on.
    func oomKills() -> Int? {
        guard let text = readText("memory.events", at: descriptor, limit: 4096) else { return nil }
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == "oom_kill" { return Int(words[1]) }
        }
        return nil
    }

    func remove() { rmdir(path) }

    /// The folder of this process in the unified hierarchy; cgroups(7) has it on the line `0::<path>`.
    private static func ownPath() -> String? {
        guard let text = readText("/proc/self/cgroup", at: AT_FDCWD, limit: 65_536),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::") })
        else { return nil }
        let below = line.dropFirst(3)
        // The second is where systemd's hybrid layout mounts it.
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] where access(mount + "/cgroup.controllers", F_OK) == 0 {
            return mount + (below == "/" ? "" : below)
        }
        return nil
    }
}
