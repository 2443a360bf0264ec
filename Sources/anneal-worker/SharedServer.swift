import Domain
import EventLoop
import Generation
import HTTPClient
import JSON

/// The server of another job of the experiment, as the daemon gave it to this one.
struct SharedServer: Sendable {
    /// Without a path.
    var url: String
    /// What requests call the model.
    var model: String
    var engine: ServerEngine
    /// Requests that it takes at once; `nil` for as many as are sent.
    var concurrencyMax: Int?

    /// - Throws: where the daemon gave none of that name.
    init(_ name: String, at pointer: JSONPointer, context: WorkerContext) throws(WorkerFailure) {
        guard let entry = context.job["servers"]?[name], let url = entry["url"]?.string, let model = entry["model"]?.string,
            let engine = entry["engine"]?.string.flatMap(ServerEngine.init)
        else { throw .badRequest(pointer.description, "the daemon gave no server of the job '\(name)'") }
        (self.url, self.model, self.engine) = (url, model, engine)
        concurrencyMax = entry["concurrency"]?.int
    }
}

/// Tells failures whose cause is that the server of another job has gone.
@LoopActor
enum LostServer {
    private static let timeout: Duration = .seconds(10)

    /// The failure with another reason where one of the job's servers does not answer any more.
    static func judge(_ failure: WorkerFailure, context: WorkerContext) async -> WorkerFailure {
        guard [.serverFailed, .network].contains(failure.reason) else { return failure }
        for (name, server) in context.job["servers"]?.object ?? [:] {
            guard let url = server["url"]?.string, await !answers(url) else { continue }
            var lost = failure
            lost.reason = .serverLost
            lost.message = "the server of the job '\(name)' is gone: \(failure.message)"
            return lost
        }
        return failure
    }

    private static func answers(_ url: String) async -> Bool {
        let request = HTTPClientRequest(url: url + "/v1/models", timeout: timeout, connectTimeout: timeout)
        // Any answer is a sign of life.
        return (try? await HTTPClient(connectionsMax: 1).send(request)) != nil
    }
}
