import Domain

/// A project's place in the queue.
public struct ProjectRecord: Sendable, Hashable {
    public var name: String
    /// Its part of the machine in proportion to the other projects' weights.
    public var weight: Double
    /// The most GPUs that its jobs may hold at a time; `nil` for no limit.
    public var gpuLimit: Int?
    /// Decayed GPU-seconds, as they were at `usageAt`.
    public var usageGPUSeconds: Double
    public var usageAt: Timestamp

    init(_ row: inout ColumnReader) throws {
        name = row.text()
        weight = row.real()
        gpuLimit = row.optionalInteger()
        usageGPUSeconds = row.real()
        usageAt = row.timestamp()
    }
}

/// A GPU that an operator, or a fault, took out of use.
public struct GPUStateRecord: Sendable, Hashable {
    public var uuid: String
    public var isDrained: Bool
    public var reason: String?
    public var since: Timestamp

    init(_ row: inout ColumnReader) throws {
        uuid = row.text()
        isDrained = row.flag()
        reason = row.optionalText()
        since = row.timestamp()
    }
}

extension ReadTransaction {
    /// Every project that has terms or usage of its own, by name.
    public func projects() throws -> [ProjectRecord] {
        try rows("SELECT name, weight, gpu_limit, usage_gpu_seconds, usage_at_ms FROM project ORDER BY name") { try ProjectRecord(&$0) }
    }

    /// Every GPU that was ever drained.
    public func gpuStates() throws -> [GPUStateRecord] {
        try rows("SELECT uuid, drained, reason, since_ms FROM gpu_state ORDER BY uuid") { try GPUStateRecord(&$0) }
    }
}

extension WriteTransaction {
    /// Sets a project's terms; its usage stays.
    public func setProject(_ name: String, weight: Double, gpuLimit: Int?) throws {
        try execute(
            """
            INSERT INTO project (name, weight, gpu_limit) VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET weight = excluded.weight, gpu_limit = excluded.gpu_limit
            """, name, weight, gpuLimit)
    }

    /// Sets a project's decayed GPU-seconds as of a moment; its terms stay.
    public func setUsage(project: String, gpuSeconds: Double, at: Timestamp) throws {
        try execute(
            """
            INSERT INTO project (name, usage_gpu_seconds, usage_at_ms) VALUES (?, ?, ?)
            ON CONFLICT (name) DO UPDATE SET usage_gpu_seconds = excluded.usage_gpu_seconds, usage_at_ms = excluded.usage_at_ms
            """, project, max(0, gpuSeconds), at.milliseconds)
    }

    /// Notes that a GPU is out of use, or in use again.
    public func setGPUState(uuid: String, drained: Bool, reason: String?, at: Timestamp) throws {
        try execute(
            """
            INSERT INTO gpu_state (uuid, drained, reason, since_ms) VALUES (?, ?, ?, ?)
            ON CONFLICT (uuid) DO UPDATE SET drained = excluded.drained, reason = excluded.reason, since_ms = excluded.since_ms
            """, uuid, drained ? 1 : 0, reason, at.milliseconds)
    }
}
