import Domain
import EventLoop
import HTTPServer
import JSON
import Service

/// The logs of a job: as they are, by offset, by their last lines, or as they grow.
@LoopActor
enum LogRoutes {
    enum Stream: String, CaseIterable { case all, stdout, stderr }

    static func get(_ call: Call) {
        do throws(ServiceError) {
            let stream = try call.choice("stream", as: Stream.self) ?? .all
            let offset = try call.integer("offset", in: 0...Int.max)
            let tail = try call.integer("tail", in: 0...100_000)
            let follow = try call.flag("follow")
            let attempt = try call.integer("attempt", in: 1...1_000_000)
            let events = call.accepts("text/event-stream")
            call.task(onFailure: call.fail) {
                let source = try await call.service.logSource(job: call.parameter(), attempt: attempt)
                let session = LogSession(
                    call, source: source, streams: stream == .all ? ["stdout", "stderr"] : [stream.rawValue], asEvents: events)
                try await session.run(offset: Int64(offset ?? 0), tail: tail, follow: follow)
            }
        } catch {
            call.fail(error)
        }
    }
}
