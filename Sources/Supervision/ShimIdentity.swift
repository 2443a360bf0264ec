import CPosix
import Glibc
import JSON

/// shim.json: who the shim and its worker are. A pid alone names nobody for long; with its start time and the boot it does.
struct ShimIdentity: Sendable, Equatable {
    var shimPID: Int32
    var shimStartTicks: UInt64
    var workerPID: Int32
    var workerStartTicks: UInt64
    var bootID: String
    /// Milliseconds since 1970.
    var startedAtMs: Int64
    var controlGroup: String?

    init?(_ document: JSONValue) {
        guard let shimPID = document["shim_pid"]?.int.flatMap(Int32.init(exactly:)), shimPID > 0,
            let shimStart = document["shim_start_ticks"]?.int.flatMap(UInt64.init(exactly:)),
            let workerPID = document["child_pid"]?.int.flatMap(Int32.init(exactly:)), workerPID > 0,
            let workerStart = document["child_start_ticks"]?.int.flatMap(UInt64.init(exactly:)),
            let bootID = document["boot_id"]?.string, let startedAt = document["started_at_ms"]?.int
        else { return nil }
        self.shimPID = shimPID
        shimStartTicks = shimStart
        self.workerPID = workerPID
        workerStartTicks = workerStart
        self.bootID = bootID
        startedAtMs = Int64(startedAt)
        controlGroup = document["control_group"]?.string
    }

    /// A pidfd of the shim; `nil` where that process is gone or its number belongs to another.
    func openShim() -> Int32? { Self.open(pid: shimPID, startTicks: shimStartTicks) }

    /// A pidfd of the process with this number and start time. The descriptor is opened first: what is read of the process afterwards
    /// is then true of the process that it stands for.
    static func open(pid: Int32, startTicks: UInt64) -> Int32? {
        let descriptor = cposix_pidfd_open(pid)
        guard descriptor >= 0 else { return nil }
        var process = cposix_process()
        if cposix_read_process(pid, &process) == 0, process.start_ticks == startTicks { return descriptor }
        close(descriptor)
        return nil
    }

    /// The id of the running kernel's boot.
    static func currentBootID() throws -> String {
        var text = [CChar](repeating: 0, count: 37)
        guard cposix_boot_id(&text) == 0 else { throw SupervisionError.system(.folder, "read the boot id") }
        return String(decoding: text.prefix(36).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
