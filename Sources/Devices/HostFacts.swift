import CPosix
import Glibc

/// What this machine, or the part of it that this process may use, has besides GPUs.
public struct HostFacts: Sendable, Hashable {
    /// CPU cores: those that the scheduler lets this process run on, or fewer where its control group may use less time. At least 1.
    public var cpuCount: Int
    /// Bytes of main memory: the machine's, or fewer where the control group may use less.
    public var memoryBytes: Int64
    /// Changes with every boot.
    public var bootID: String

    /// Reads the facts. What cannot be read is taken for its smallest sensible value: one core, no memory, no boot id.
    public static func read() -> HostFacts {
        let limits = ControlGroupLimits.ofThisProcess()
        var cpuCount = affinityCount()
        if let cores = limits.cpuCores { cpuCount = min(cpuCount, max(1, Int(cores.rounded(.down)))) }
        var memoryBytes = totalMemory()
        if let limit = limits.memoryBytes { memoryBytes = min(memoryBytes, limit) }
        return HostFacts(cpuCount: cpuCount, memoryBytes: memoryBytes, bootID: readBootID())
    }

    /// Whether a time service keeps the clock in step; `nil` where the kernel does not tell.
    public static var isClockKept: Bool? {
        let answer = cposix_clock_is_kept()
        return answer < 0 ? nil : answer == 1
    }

    private static func affinityCount() -> Int {
        let count = cposix_cpu_count()
        return count > 0 ? Int(count) : max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }

    private static func totalMemory() -> Int64 {
        guard let text = SmallFile.text(of: "/proc/meminfo"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemTotal:") })
        else { return 0 }
        // proc_meminfo(5): "MemTotal:       24563284 kB".
        let words = line.split(separator: " ")
        return words.count >= 2 ? (Int64(words[1]) ?? 0) * 1024 : 0
    }

    private static func readBootID() -> String {
        var text = [CChar](repeating: 0, count: 37)
        guard cposix_boot_id(&text) == 0 else { return "" }
        return String(decoding: text.prefix(36).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
