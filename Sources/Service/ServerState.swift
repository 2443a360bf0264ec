import Domain
import EventLoop
import JSON
import Specification

/// What the loop remembers of a job of kind `serve`. All of it follows from the database and the attempt's folder.
@LoopActor
final class ServerState {
    /// Where a server is while it does not run.
    enum Phase {
        /// Its needs have not ended, or it has not been looked at since.
        case waiting
        /// Nobody needs it now.
        case resting
        /// In the queue, or running.
        case queued
        /// A user keeps it.
        case paused
    }

    /// By which the jobs of the experiment find it.
    let key: String
    let name: String
    let terms: ServerTerms
    /// Jobs that use it and have not ended.
    var users: Set<String> = []
    var phase: Phase
    /// Where it answers; `nil` while it does not.
    var endpoint: ServerEndpoint?
    /// True while a change of its state is being written.
    var isMoving = false
    /// Runs while nobody needs it.
    var lingering: LoopTimer?
    var watcher: PathWatcher?
    /// True once a job that used the present attempt has succeeded, which counts as progress.
    var hasServed = false
    /// Since when it answers and none of the jobs that are ready can start.
    var starvedSince: Timestamp?
    /// True while it makes room for the jobs of another server.
    var yields = false

    init(key: String, name: String, terms: ServerTerms, phase: Phase) {
        (self.key, self.name, self.terms, self.phase) = (key, name, terms, phase)
    }

    /// Forgets what belonged to an attempt that has ended.
    func forgetAttempt() {
        endpoint = nil
        starvedSince = nil
        watcher?.cancel()
        watcher = nil
        lingering?.cancel()
        lingering = nil
    }
}

/// Where a server answers, as its worker wrote it into `endpoint.json`.
struct ServerEndpoint: Sendable, Equatable {
    /// The file of the attempt's folder, which is there while the server answers.
    static let file = "endpoint.json"

    var attempt: String
    /// Counts the servers of one attempt, of which a later one took the place of one that ran out of memory.
    var generation: Int
    /// Without a path.
    var url: String
    /// What requests call the model.
    var model: String
    var engine: String
    /// Requests that it takes at once; `nil` for as many as are sent.
    var concurrency: Int?

    /// What the file says; `nil` where there is none. Blocks.
    static func read(attempt: String, directory: String) throws -> ServerEndpoint? {
        guard let bytes = try Folders.tail(of: directory + "/" + file, limit: ServiceLimits.requestBytesMax) else { return nil }
        let document = try JSONParser.parse(bytes)
        guard let url = document["url"]?.string, let model = document["model"]?.string, let engine = document["engine"]?.string else {
            throw ServiceError(.internal, "\(directory)/\(file) is no endpoint")
        }
        return ServerEndpoint(
            attempt: attempt, generation: document["generation"]?.int ?? 1, url: url, model: model, engine: engine,
            concurrency: document["concurrency"]?.int)
    }

    /// As the workers that use it get it.
    var document: JSONValue {
        [
            "attempt": .string(attempt), "generation": .int(Int64(generation)), "url": .string(url), "model": .string(model),
            "engine": .string(engine), "concurrency": concurrency.map { .int(Int64($0)) } ?? .null,
        ]
    }
}
