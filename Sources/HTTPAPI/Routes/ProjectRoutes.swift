import APITypes
import EventLoop
import HTTPServer
import JSON
import Service
import Specification

/// Projects: their part of the machine.
@LoopActor
enum ProjectRoutes {
    static func list(_ call: Call) async throws -> Answer { try .json(ProjectsView(data: try await call.service.projects())) }

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.project(call.parameter())) }

    static func update(_ call: Call) async throws -> Answer {
        guard NameRule.experiment.matches(call.parameter()) else { throw ServiceError.missing("project", call.parameter()) }
        let body = try await call.jsonBody(upTo: ServiceLimits.requestBytesMax)
        guard let members = body.object else { throw ServiceError(.badRequest, "the body must be an object") }
        var errors = members.keys.filter { $0 != "weight" && $0 != "gpu_limit" }.map {
            ServiceError.Detail(pointer: "/\($0)", detail: "unknown member; known are: weight, gpu_limit")
        }
        let weight = members["weight"]?.double
        if let value = members["weight"], !(weight.map { $0 > 0 && $0 <= 1e9 } ?? false) {
            errors.append(.init(pointer: "/weight", detail: "must be a number above 0 and up to 1e9, not \(value)"))
        }
        var limit = GPULimitChange.keep
        if let value = members["gpu_limit"] {
            if value.isNull {
                limit = .clear
            } else if let number = value.int, (0...1_000_000).contains(number) {
                limit = .set(number)
            } else {
                errors.append(.init(pointer: "/gpu_limit", detail: "must be a whole number from 0 to 1000000, or null"))
            }
        }
        guard errors.isEmpty else {
            throw ServiceError(.badRequest, errors.first?.detail ?? "the body is invalid", errors: errors)
        }
        return try .json(try await call.service.setProject(call.parameter(), weight: weight, gpuLimit: limit))
    }
}
