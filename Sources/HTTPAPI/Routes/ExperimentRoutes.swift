import EventLoop
import Domain
import HTTPServer
import JSON
import Service
import Specification

/// Experiments: submission, lists, control.
@LoopActor
enum ExperimentRoutes {
    static func submit(_ call: Call) async throws -> Answer {
        let format = try bodyFormat(call)
        let dryRun = try call.flag("dry_run")
        let base = call.query("base_directory")
        if let base, !base.hasPrefix("/") { throw ServiceError(.badRequest, "query parameter 'base_directory': must be an absolute path") }
        let request = SubmissionRequest(
            document: try await call.body(upTo: ServiceLimits.specBytesMax), format: format, overrides: call.queries("set"),
            baseDirectory: base, reach: call.caller.reach)
        if dryRun { return try .json(try await call.service.plan(request)) }
        let reservation = try await Idempotency.reserve(call, body: request.document)
        if let stored = reservation?.stored { return stored }
        let view = try await call.service.submit(request) { writer, view in
            try reservation?.keep(try .json(view, status: .created, location: "/v1/experiments/\(view.id)"), in: writer)
        }
        return try .json(view, status: .created, location: "/v1/experiments/\(view.id)")
    }

    /// What the body is written in: YAML, which JSON is a part of, unless it says that it is JSON. `curl -d` says nothing useful.
    private static func bodyFormat(_ call: Call) throws -> SpecDocument.Format {
        switch call.request.headers["content-type"].map(Call.essence) {
        case "application/json": return .json
        case "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml": return .yaml
        case nil, "", "application/x-www-form-urlencoded", "application/octet-stream", "text/plain": return .auto
        case let type?:
            throw ServiceError(.unsupportedMediaType, "a spec is application/yaml or application/json, not '\(type)'")
        }
    }

    static func list(_ call: Call) async throws -> Answer {
        let state = try call.choice("state", as: ExperimentState.self)
        return try .json(
            try await call.service.experiments(
                state: state, project: call.query("project"), name: call.query("name"), within: call.caller.reach, page: try call.page()))
    }

    static func get(_ call: Call) async throws -> Answer {
        if let limit = try call.wait() { try await call.service.wait(for: .experiment(call.parameter()), atMost: limit) }
        return try .json(try await call.service.experiment(call.parameter()))
    }

    static func cancel(_ call: Call) async throws -> Answer {
        try await call.service.cancel(experimentID: call.parameter())
        return try .json(try await call.service.experiment(call.parameter()))
    }

    static func retry(_ call: Call) async throws -> Answer {
        try await call.service.retry(experimentID: call.parameter())
        return try .json(try await call.service.experiment(call.parameter()))
    }
}
