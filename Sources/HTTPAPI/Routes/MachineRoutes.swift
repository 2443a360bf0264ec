import EventLoop
import HTTPServer
import Service

/// The machine and what connects its artifacts.
@LoopActor
enum MachineRoutes {
    static func gpus(_ call: Call) async throws -> Answer { try .json(try await call.service.gpus()) }

    static func queue(_ call: Call) async throws -> Answer { try .json(try await call.service.queue(page: try call.page())) }

    static func doctor(_ call: Call) async throws -> Answer { try .json(try await call.service.doctor()) }

    static func lineage(_ call: Call) async throws -> Answer { try .json(try await call.service.lineage(call.parameter())) }
}
