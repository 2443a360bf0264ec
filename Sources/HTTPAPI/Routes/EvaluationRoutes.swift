import EventLoop
import HTTPServer
import Service

/// Evaluations: lists, items, comparison.
@LoopActor
enum EvaluationRoutes {
    static func list(_ call: Call) async throws -> Answer {
        try .json(try await call.service.evaluations(job: call.query("job"), experiment: call.query("experiment"), page: try call.page()))
    }

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.evaluation(call.parameter())) }

    static func items(_ call: Call) async throws -> Answer {
        try .json(try await call.service.evaluationItems(call.parameter(), page: try call.page()))
    }

    static func compare(_ call: Call) async throws -> Answer {
        guard let base = call.query("base"), let candidate = call.query("candidate") else {
            throw ServiceError(.badRequest, "the query parameters 'base' and 'candidate' are required")
        }
        return try .json(try await call.service.compare(base: base, candidate: candidate))
    }
}
