import Glibc

/// How busy the host is: counters since boot, from which a later reading makes rates, and levels as they are.
public struct HostReadings: Sendable, Hashable {
    /// Seconds of all cores, since boot: all of them, and those in which nothing ran.
    public var cpuSeconds = 0.0
    public var cpuIdleSeconds = 0.0
    /// Bytes.
    public var memoryTotal: Int64 = 0
    /// Bytes in use by programs, without caches that give way.
    public var memoryUsed: Int64 = 0
    /// Bytes since boot, over all real disks.
    public var diskRead: Int64 = 0
    public var diskWritten: Int64 = 0
    /// Bytes since boot, without the loopback.
    public var networkReceived: Int64 = 0
    public var networkSent: Int64 = 0
    /// Percent of the last ten seconds in which some program waited for it (Linux: Documentation/accounting/psi.rst).
    public var pressureCPU: Double?
    public var pressureMemory: Double?
    public var pressureIO: Double?
    /// Bytes of the file system that holds the data folder.
    public var dataFree: Int64 = 0
    public var dataTotal: Int64 = 0

    /// Nothing read yet.
    public init() {}

    /// Reads what can be read; what cannot stays zero or `nil`. Blocks for well below a millisecond.
    public static func read(dataDirectory: String) -> HostReadings {
        var readings = HostReadings()
        readings.readCPU()
        readings.readMemory()
        readings.readDisks()
        readings.readNetwork()
        readings.pressureCPU = pressure("cpu")
        readings.pressureMemory = pressure("memory")
        readings.pressureIO = pressure("io")
        var system = statvfs()
        if statvfs(dataDirectory, &system) == 0 {
            readings.dataFree = Int64(system.f_bavail) * Int64(system.f_frsize)
            readings.dataTotal = Int64(system.f_blocks) * Int64(system.f_frsize)
        }
        return readings
    }

    /// The first line of proc_stat(5): user nice system idle iowait irq softirq steal, in ticks.
    private mutating func readCPU() {
        guard let line = SmallFile.text(of: "/proc/stat")?.split(separator: "\n").first else { return }
        let ticks = line.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
        guard ticks.count == 8 else { return }
        let perSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        cpuSeconds = ticks.reduce(0, +) / perSecond
        cpuIdleSeconds = (ticks[3] + ticks[4]) / perSecond
    }

    private mutating func readMemory() {
        var values: [Substring: Int64] = [:]
        for line in SmallFile.text(of: "/proc/meminfo")?.split(separator: "\n") ?? [] {
            let words = line.split(separator: " ")
            if words.count >= 2, let number = Int64(words[1]) { values[words[0].dropLast()] = number * 1024 }
        }
        memoryTotal = values["MemTotal"] ?? 0
        memoryUsed = memoryTotal - (values["MemAvailable"] ?? memoryTotal)
    }

    /// proc_diskstats(5): sectors of 512 bytes; a partition's are its disk's too.
    private mutating func readDisks() {
        for line in SmallFile.text(of: "/proc/diskstats")?.split(separator: "\n") ?? [] {
            let words = line.split(separator: " ")
            guard words.count >= 10, let read = Int64(words[5]), let written = Int64(words[9]) else { continue }
            let name = words[2]
            let isWhole = name.hasPrefix("nvme") ? !name.contains("p") : !(name.last?.isNumber ?? true)
            guard isWhole, !name.hasPrefix("loop"), !name.hasPrefix("ram"), !name.hasPrefix("dm-") else { continue }
            diskRead += read * 512
            diskWritten += written * 512
        }
    }

    private mutating func readNetwork() {
        for line in SmallFile.text(of: "/proc/net/dev")?.split(separator: "\n").dropFirst(2) ?? [] {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].split(separator: " ").first != "lo" else { continue }
            let words = parts[1].split(separator: " ")
            guard words.count >= 9 else { continue }
            networkReceived += Int64(words[0]) ?? 0
            networkSent += Int64(words[8]) ?? 0
        }
    }

    /// `some avg10=0.12 …`
    private static func pressure(_ resource: String) -> Double? {
        guard let line = SmallFile.text(of: "/proc/pressure/" + resource)?.split(separator: "\n").first(where: { $0.hasPrefix("some ") }),
            let word = line.split(separator: " ").first(where: { $0.hasPrefix("avg10=") })
        else { return nil }
        return Double(word.dropFirst(6))
    }
}
