import CPosix
import Devices
import Glibc
import JSON
import Synchronization

/// heartbeat.json: what a node tells of a batch job's worker while it runs, for a daemon elsewhere that cannot look at its processes.
final class Heartbeat {
    /// Between two beats, in milliseconds. A worker that ends sooner needs none.
    static let interval: Int64 = 5_000
    static let name = "heartbeat.json"

    private let gpus: NodeGPUs?
    private var serial: Int64 = 0
    private var next: Int64

    init(now: Int64) {
        next = now + Self.interval
        gpus = NodeGPUs(allocated: BatchAllocation.gpuIndices)
    }

    /// Writes the next beat where it is time for it.
    func advance(_ now: Int64) {
        guard now >= next else { return }
        next = now + Self.interval
        serial += 1
        // Without room for it the daemon knows as much as before; the next one may find some.
        try? AttemptFolder.replace(Self.name, with: document())  // as said above
    }

    private func document() -> JSONValue {
        let tree = ProcessTree.usage()
        let host = HostReadings.read(dataDirectory: ".")
        return [
            "version": 1, "serial": .int(serial), "at_ms": .int(Clock.wall()), "host": .string(BatchAllocation.host),
            "cpu_ms": .int(tree.cpuMilliseconds), "memory_bytes": .int(tree.residentBytes),
            "log_bytes": .int(size(of: "stdout.log") + size(of: "stderr.log")),
            "host_memory_used": .int(host.memoryUsed), "host_memory_total": .int(host.memoryTotal),
            "gpu_count": .int(Int64(gpus?.count ?? 0)), "gpus": .array((gpus?.latest ?? []).map(Self.document)),
        ]
    }

    private static func document(of gpu: GPUDevice) -> JSONValue {
        func number(_ value: Int?) -> JSONValue { value.map { .int(Int64($0)) } ?? .null }
        return [
            "index": .int(Int64(gpu.index)), "uuid": .string(gpu.uuid), "utilization": number(gpu.utilization),
            "memory_bytes": gpu.memoryUsedBytes.map(JSONValue.int) ?? .null, "power_milliwatts": number(gpu.powerMilliwatts),
            "temperature": number(gpu.temperature), "lost": .bool(gpu.isLost),
        ]
    }

    private func size(of name: String) -> Int64 {
        var information = stat()
        return stat(name, &information) == 0 ? Int64(information.st_size) : 0
    }
}

/// The GPUs of an allocation, read on a thread of their own: a driver that hangs must not keep the shim from its work.
final class NodeGPUs: Sendable {
    /// The value of `--gpus`, for nodes that have none; the driver's GPUs where it is not set.
    static let variable = "ANNEAL_NODE_GPUS"

    /// How many the allocation has.
    let count: Int
    private let allocated: [Int]
    private let readings = Mutex<[GPUDevice]>([])

    /// Begins to read; `nil` for an allocation without GPUs.
    init?(allocated: [Int]) {
        guard !allocated.isEmpty else { return nil }
        self.allocated = allocated
        count = allocated.count
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                Unmanaged<NodeGPUs>.fromOpaque(raw).takeRetainedValue().follow()
                return nil
            }, own.toOpaque())
        guard code == 0 else {
            own.release()
            return
        }
        pthread_detach(thread)
    }

    /// As they were when they were last read; empty where the driver does not tell.
    var latest: [GPUDevice] { readings.withLock { $0 } }

    private func follow() {
        let mode = getenv(Self.variable).flatMap { GPUMode(parsing: String(cString: $0)) } ?? .auto
        // A driver that fails tells nothing; the worker will say so itself.
        guard let inventory = try? DeviceInventory(mode: mode) else { return }  // as said above
        while true {
            let found = inventory.readings()
            // Where the cluster shows a job its own GPUs alone, they are numbered anew.
            let own = found.count == allocated.count ? found : found.filter { allocated.contains($0.index) }
            readings.withLock { $0 = own }
            poll(nil, 0, Int32(Heartbeat.interval))
        }
    }
}
