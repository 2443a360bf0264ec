import JSON

/// What a node tells of a batch job's worker while it runs: the shim's heartbeat.json.
public struct NodeReading: Sendable, Equatable {
    /// A GPU of the allocation. What the driver does not tell is `nil`.
    public struct GPU: Sendable, Equatable {
        /// The node's number of it.
        public var index: Int
        /// Percent.
        public var utilization: Int?
        public var memoryBytes: Int64?
        public var powerMilliwatts: Int?
        /// Degrees Celsius.
        public var temperature: Int?
    }

    /// Grows with each beat.
    public var serial: Int
    /// Milliseconds since 1970, by the node's clock.
    public var atMs: Int64
    public var host: String
    /// Of the worker's tree, since its start.
    public var cpuSeconds: Double
    /// Of the worker's tree.
    public var memoryBytes: Int64
    /// Of both logs.
    public var logBytes: Int64
    public var hostMemoryUsed: Int64
    public var hostMemoryTotal: Int64
    /// How many the allocation has on this node, whether or not the driver tells of them.
    public var gpuCount: Int
    public var gpus: [GPU]

    /// Reads the file; `nil` for what is none.
    init?(_ document: JSONValue) {
        guard let serial = document["serial"]?.int, let at = document["at_ms"]?.int, let cpu = document["cpu_ms"]?.int else { return nil }
        func bytes(_ name: String) -> Int64 { Int64(document[name]?.int ?? 0) }
        (self.serial, atMs, cpuSeconds) = (serial, Int64(at), Double(cpu) / 1000)
        host = document["host"]?.string ?? ""
        (memoryBytes, logBytes) = (bytes("memory_bytes"), bytes("log_bytes"))
        (hostMemoryUsed, hostMemoryTotal) = (bytes("host_memory_used"), bytes("host_memory_total"))
        gpuCount = document["gpu_count"]?.int ?? 0
        gpus = (document["gpus"]?.array ?? []).compactMap { gpu in
            gpu["index"]?.int.map {
                GPU(
                    index: $0, utilization: gpu["utilization"]?.int, memoryBytes: gpu["memory_bytes"]?.int.map(Int64.init),
                    powerMilliwatts: gpu["power_milliwatts"]?.int, temperature: gpu["temperature"]?.int)
            }
        }
    }
}

extension BatchFolder {
    /// What the node told last; `nil` before it has told anything.
    public func reading() -> NodeReading? { document("heartbeat.json").flatMap { NodeReading($0) } }
}
