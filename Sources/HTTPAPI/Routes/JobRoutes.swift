import APITypes
import Domain
import EventLoop
import HTTPServer
import JSON
import Service

/// Jobs: lists, polling, control, explanation, curves.
@LoopActor
enum JobRoutes {
    static func list(_ call: Call) async throws -> Answer {
        let state = try call.choice("state", as: JobState.self)
        let kind = try call.choice("kind", as: JobKind.self)
        return try .json(
            try await call.service.jobs(
                state: state, kind: kind, experiment: call.query("experiment"), within: call.caller.reach, page: try call.page()))
    }

    static func get(_ call: Call) async throws -> Answer {
        if let limit = try call.wait() { try await call.service.wait(for: .job(call.parameter()), atMost: limit) }
        return try await view(call)
    }

    static func update(_ call: Call) async throws -> Answer {
        let body = try await call.jsonBody(upTo: ServiceLimits.requestBytesMax)
        guard let members = body.object else { throw ServiceError(.badRequest, "the body must be an object") }
        var errors = members.keys.filter { $0 != "priority" }.map {
            ServiceError.Detail(pointer: "/\($0)", detail: "unknown member; known is: priority")
        }
        let priority = members["priority"]
        if !(priority?.int.map { (0...100).contains($0) } ?? false) {
            errors.append(.init(pointer: "/priority", detail: "must be a whole number from 0 to 100"))
        }
        guard errors.isEmpty, let priority = priority?.int else {
            throw ServiceError(.badRequest, errors.first?.detail ?? "the body is invalid", errors: errors)
        }
        try await call.service.setPriority(jobID: call.parameter(), to: priority)
        return try await view(call)
    }

    static func cancel(_ call: Call) async throws -> Answer {
        try await call.service.cancel(jobID: call.parameter())
        return try await view(call)
    }

    static func retry(_ call: Call) async throws -> Answer {
        try await call.service.retry(jobID: call.parameter())
        return try await view(call)
    }

    static func pause(_ call: Call) async throws -> Answer {
        try await call.service.pause(jobID: call.parameter())
        return try await view(call)
    }

    static func resume(_ call: Call) async throws -> Answer {
        try await call.service.resume(jobID: call.parameter())
        return try await view(call)
    }

    static func hold(_ call: Call) async throws -> Answer {
        try await call.service.hold(jobID: call.parameter())
        return try await view(call)
    }

    static func release(_ call: Call) async throws -> Answer {
        try await call.service.release(jobID: call.parameter())
        return try await view(call)
    }

    /// The job as it is now, kept for those who poll it.
    private static func view(_ call: Call) async throws -> Answer {
        let generation = call.views.generation
        let view = try await call.service.job(call.parameter())
        let body = JSONWriter().bytes(of: try JSONValue(encoding: view))
        call.views.keep(body, ofJob: call.parameter(), readAt: generation)
        return .json(bytes: body)
    }

    static func explain(_ call: Call) async throws -> Answer { try .json(try await call.service.explain(call.parameter())) }
}
