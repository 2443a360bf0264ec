/// What the control groups of a process (v2) allow it: the least of its own group's limits and those of all groups above.
struct ControlGroupLimits: Equatable {
    /// Cores' worth of processor time; `nil`: no limit.
    var cpuCores: Double?
    /// `nil`: no limit.
    var memoryBytes: Int64?

    static func ofThisProcess() -> ControlGroupLimits {
        guard let text = SmallFile.text(of: "/proc/self/cgroup") else { return ControlGroupLimits() }
        return ControlGroupLimits(membership: text, mount: "/sys/fs/cgroup")
    }

    init(cpuCores: Double? = nil, memoryBytes: Int64? = nil) {
        self.cpuCores = cpuCores
        self.memoryBytes = memoryBytes
    }

    /// - Parameters:
    ///   - membership: the text of /proc/<pid>/cgroup; cgroups(7) has the unified hierarchy on the line `0::<path>`.
    ///   - mount: where the unified hierarchy is mounted.
    init(membership: String, mount: String) {
        guard let line = membership.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return }
        var folder = mount
        var folders = [folder]
        for part in line.dropFirst(4).split(separator: "/") {
            folder += "/" + part
            folders.append(folder)
        }
        for folder in folders {
            if let cores = Self.cores(SmallFile.text(of: folder + "/cpu.max")) { cpuCores = min(cpuCores ?? cores, cores) }
            if let bytes = Self.bytes(SmallFile.text(of: folder + "/memory.max")) { memoryBytes = min(memoryBytes ?? bytes, bytes) }
        }
    }

    /// cpu.max is `<quota> <period>` in microseconds, or `max <period>`.
    private static func cores(_ text: String?) -> Double? {
        let words = (text ?? "").split(whereSeparator: \.isWhitespace).map { Double($0) }
        guard words.count == 2, let quota = words[0], let period = words[1], quota > 0, period > 0 else { return nil }
        return quota / period
    }

    /// memory.max is a number of bytes, or `max`.
    private static func bytes(_ text: String?) -> Int64? {
        (text ?? "").split(whereSeparator: \.isWhitespace).first.flatMap { Int64($0) }
    }
}
