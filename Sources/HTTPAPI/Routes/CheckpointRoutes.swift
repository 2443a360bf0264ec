import EventLoop
import HTTPServer
import Service

/// Checkpoints: lists, retention by hand.
@LoopActor
enum CheckpointRoutes {
    static func list(_ call: Call) async throws -> Answer {
        try .json(try await call.service.checkpoints(job: call.query("job"), within: call.caller.reach, page: try call.page()))
    }

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.checkpoint(call.parameter())) }

    static func pin(_ call: Call) async throws -> Answer { try .json(try await call.service.setPinned(true, checkpoint: call.parameter())) }

    static func unpin(_ call: Call) async throws -> Answer {
        try .json(try await call.service.setPinned(false, checkpoint: call.parameter()))
    }

    static func delete(_ call: Call) async throws -> Answer {
        try await call.service.deleteCheckpoint(call.parameter())
        return Answer(status: .noContent, body: [])
    }
}
