import Glibc

/// The disk of a cluster's data folder. Many share it, and it may be full for a while: a start that failed for that would fail the job.
enum SharedDisk {
    /// How long the start waits for room, in milliseconds; the allocation is idle meanwhile.
    private static let patience: Int64 = 600_000
    private static let interval: Int32 = 1_000
    /// For what the start writes: shim.json, the nodes' records and the first blocks of the logs.
    private static let startBytes = 65_536

    /// Sets the room for the exit record aside as soon as there is some for the start, too. An order to end is not kept waiting.
    static func reserve(_ batch: BatchOrders) throws(StartError) -> ExitReserve {
        let end = Clock.monotonic() + patience
        while true {
            do throws(StartError) {
                let name = "start.reserve"
                close(try ExitReserve.setAside(startBytes, as: name))
                defer { unlink(name) }
                return try ExitReserve()
            } catch {
                guard error.errorNumber == ENOSPC || error.errorNumber == EDQUOT, Clock.monotonic() < end else { throw error }
            }
            if batch.awaitOrder(interval) { return try ExitReserve() }
        }
    }
}
