import Glibc

/// What a server ran out of, and what tells so.
public struct OutOfMemory: Sendable, Equatable {
    /// True for main memory, false for that of a GPU.
    public var isOfHost: Bool
    /// The line of the log, or the signal, in words.
    public var evidence: String

    /// What the engines, PyTorch and CUDA write when a GPU has no memory left.
    private static let devicePatterns = [
        "CUDA out of memory", "OutOfMemoryError", "CUDA error: out of memory", "cudaErrorMemoryAllocation", "CUBLAS_STATUS_ALLOC_FAILED",
        "HIP out of memory", "No available memory for the cache blocks", "less than desired GPU memory utilization",
        "Not enough memory. Please try to increase --mem-fraction-static", "insufficient GPU memory", "cudaMalloc failed: out of memory",
    ]
    /// The same for main memory.
    private static let hostPatterns = [
        "std::bad_alloc", "DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory", "Cannot allocate memory",
        "failed to allocate buffer", "MemoryError",
    ]

    /// Looks for the last line of a server's log that tells of it.
    public static func found(in log: String) -> OutOfMemory? {
        for line in log.split(whereSeparator: \.isNewline).reversed() {
            for (patterns, isOfHost) in [(devicePatterns, false), (hostPatterns, true)] where patterns.contains(where: line.contains) {
                return OutOfMemory(isOfHost: isOfHost, evidence: String(line.prefix(lineLengthMax)))
            }
        }
        return nil
    }

    private static let lineLengthMax = 300

    /// Processes of this process's control group that the kernel has killed for want of memory; `nil` where that cannot be known.
    ///
    /// From `memory.events` of the group (version 2) that /proc/self/cgroup names.
    static func kernelKills() -> Int? {
        guard let own = text("/proc/self/cgroup")?.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else { return nil }
        let events = text("/sys/fs/cgroup" + own.dropFirst(3) + "/memory.events")
        let line = events?.split(separator: "\n").first { $0.hasPrefix("oom_kill ") }
        return line.flatMap { Int($0.dropFirst("oom_kill ".count)) }
    }

    private static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}
