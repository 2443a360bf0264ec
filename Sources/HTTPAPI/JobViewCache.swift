import EventLoop
import HTTPServer
import Service

/// Rendered views of jobs, so that polling a job costs neither a query nor a look at more than the request's first line.
///
/// A view is dropped when an event of its job is published or the job is told anew, which happens before the writer of that event is answered: who
/// reads after a write sees it. Bounded in bytes; when full it starts anew, which costs each polled job one query.
@LoopActor
final class JobViewCache {
    private static let folder = "/v1/jobs/"

    /// By request target.
    private var views: [String: HTTPPreparedResponse] = [:]
    private var bytes = 0
    /// Counts the drops of all views; a view rendered from rows read before a drop is not kept.
    private(set) var generation: UInt64 = 0

    init(_ hub: EventHub) {
        hub.listenToJobs { [weak self] job in self?.drop(job) }
    }

    /// The answer to a GET of exactly `target`.
    func view(at target: String) -> HTTPPreparedResponse? { views[target] }

    /// Keeps a view that was read from the database while the generation was `generation`.
    func keep(_ body: [UInt8], ofJob id: String, readAt generation: UInt64) {
        guard generation == self.generation else { return }
        if bytes + body.count > ServiceLimits.viewCacheBytesMax { removeAll() }
        let view = HTTPPreparedResponse(.ok, headers: ["Content-Type": "application/json"], body: body)
        bytes += body.count - (views.updateValue(view, forKey: Self.folder + id)?.body.count ?? 0)
    }

    private func drop(_ jobID: String) {
        generation += 1
        if let view = views.removeValue(forKey: Self.folder + jobID) { bytes -= view.body.count }
    }

    private func removeAll() {
        views.removeAll()
        bytes = 0
    }
}
