import EventLoop

/// Rendered views of jobs, so that polling a job costs no query.
///
/// A view is dropped when an event of its job is published, which happens before the writer of that event is answered: who
/// reads after a write sees it. Bounded in bytes; when full it starts anew, which costs each polled job one query.
@LoopActor
final class JobViewCache {
    private var bodies: [String: [UInt8]] = [:]
    private var bytes = 0
    /// Counts the drops of all views; a view rendered from rows read before a drop is not kept.
    private(set) var generation: UInt64 = 0

    func body(of jobID: String) -> [UInt8]? { bodies[jobID] }

    /// Keeps a view that was read from the database while the generation was `generation`.
    func keep(_ body: [UInt8], of jobID: String, readAt generation: UInt64) {
        guard generation == self.generation else { return }
        if bytes + body.count > ServiceLimits.viewCacheBytesMax { removeAll() }
        bytes += body.count - (bodies.updateValue(body, forKey: jobID)?.count ?? 0)
    }

    func drop(_ jobID: String) {
        generation += 1
        if let body = bodies.removeValue(forKey: jobID) { bytes -= body.count }
    }

    private func removeAll() {
        bodies.removeAll()
        bytes = 0
    }
}
