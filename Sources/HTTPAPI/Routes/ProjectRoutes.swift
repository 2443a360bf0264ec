import APITypes
import EventLoop
import HTTPServer
import JSON
import Service
import Specification

/// Projects: their part of the machine.
@LoopActor
enum ProjectRoutes {
    /// The limits that can be set, and the most that each can be set to.
    private static var limits: [(name: String, most: Int, part: WritableKeyPath<ProjectChange, LimitChange>)] {
        [
            ("gpu_limit", 1_000_000, \.gpus), ("queued_limit", 1_000_000, \.queued), ("running_limit", 1_000_000, \.running),
            ("artifact_bytes_limit", 1_000_000_000_000_000, \.artifactBytes),
        ]
    }

    static func list(_ call: Call) async throws -> Answer {
        try .json(ProjectsView(data: try await call.service.projects(within: call.caller.reach)))
    }

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.project(call.parameter())) }

    static func update(_ call: Call) async throws -> Answer {
        guard NameRule.experiment.matches(call.parameter()) else { throw ServiceError.missing("project", call.parameter()) }
        let body = try await call.jsonBody(upTo: ServiceLimits.requestBytesMax)
        guard let members = body.object else { throw ServiceError(.badRequest, "the body must be an object") }
        let known = ["weight"] + limits.map(\.name)
        var errors = members.keys.filter { !known.contains($0) }.map {
            ServiceError.Detail(pointer: "/\($0)", detail: "unknown member; known are: \(known.joined(separator: ", "))")
        }
        var change = ProjectChange()
        change.weight = members["weight"]?.double
        if let value = members["weight"], !(change.weight.map { $0 > 0 && $0 <= 1e9 } ?? false) {
            errors.append(.init(pointer: "/weight", detail: "must be a number above 0 and up to 1e9, not \(value)"))
        }
        for (name, most, part) in limits {
            guard let value = members[name] else { continue }
            if value.isNull {
                change[keyPath: part] = .clear
            } else if let number = value.int, (0...most).contains(number) {
                change[keyPath: part] = .set(number)
            } else {
                errors.append(.init(pointer: "/\(name)", detail: "must be a whole number from 0 to \(most), or null"))
            }
        }
        guard errors.isEmpty else {
            throw ServiceError(.badRequest, errors.first?.detail ?? "the body is invalid", errors: errors)
        }
        return try .json(try await call.service.setProject(call.parameter(), change))
    }
}
