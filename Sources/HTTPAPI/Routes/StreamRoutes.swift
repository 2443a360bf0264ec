import EventLoop
import HTTPServer
import Service

/// The stream of events.
@LoopActor
enum StreamRoutes {
    private static let types: Set<String> = ["state", "metric", "log", "gpu", "checkpoint", "dataset", "evaluation", "alert", "gap", "end"]

    static func get(_ call: Call) {
        do throws(ServiceError) {
            let filter = try filter(call)
            let start = try start(call)
            let format: StreamFormat = call.accepts("application/x-ndjson") ? .lines : .eventStream
            call.task(onFailure: call.fail) {
                try await call.service.requireSubjects(experiment: filter.experiment, job: filter.job)
                // A stream about one subject tells its whole story; the stream of everything begins now.
                let isAboutOne = filter.experiment != nil || filter.job != nil
                let position = start ?? .events(isAboutOne ? 0 : call.service.hub.latestSequence)
                EventStreamSession(call, filter: filter, format: format, after: position).start()
            }
        } catch {
            call.fail(error)
        }
    }

    private static func filter(_ call: Call) throws(ServiceError) -> EventStreamSession.Filter {
        var wanted: Set<String>?
        if let list = call.query("types") {
            let names = Set(list.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
            if let unknown = names.subtracting(types).sorted().first {
                throw ServiceError(
                    .badRequest, "query parameter 'types': unknown type '\(unknown)'; known are \(types.sorted().joined(separator: ", "))")
            }
            wanted = names
        }
        let keys = call.queries("key").map { KeyPattern($0) }
        return EventStreamSession.Filter(
            reach: call.caller.reach, experiment: call.query("experiment"), job: call.query("job"), types: wanted,
            keys: keys.isEmpty ? nil : keys)
    }

    /// Where to go on: `Last-Event-ID` of a client that reconnects, or `after`.
    private static func start(_ call: Call) throws(ServiceError) -> StreamPosition? {
        var after: StreamPosition?
        if let text = call.query("after") {
            guard let position = StreamPosition(text) else { throw Call.invalid("after", "must be the id of an event of this stream") }
            after = position
        }
        guard let header = call.request.headers["last-event-id"] else { return after }
        guard let position = StreamPosition(header) else {
            throw ServiceError(.badRequest, "Last-Event-ID must be the id of an event of this stream")
        }
        return position
    }
}
