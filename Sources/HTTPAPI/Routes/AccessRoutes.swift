import Domain
import EventLoop
import HTTPServer
import JSON
import Service
import Specification
import Store

/// Tokens, and what was done with them.
@LoopActor
enum AccessRoutes {
    private static let members: Set<String> = ["name", "scope", "projects", "expires_in"]

    static func createToken(_ call: Call) async throws -> Answer {
        guard let body = try await call.jsonBody(upTo: ServiceLimits.requestBytesMax).object else {
            throw ServiceError(.badRequest, "the body must be an object")
        }
        var faults = body.keys.filter { !members.contains($0) }.map {
            ServiceError.Detail(
                pointer: (JSONPointer() / $0).description, detail: "is not known; known are \(members.sorted().joined(separator: ", "))")
        }
        let name = body["name"]?.string
        if !(name.map(NameRule.job.matches) ?? false) {
            faults.append(.init(pointer: "/name", detail: "must be a name: \(NameRule.job.description)"))
        }
        let scope = body["scope"]?.string.flatMap(AccessScope.init(rawValue:))
        if scope == nil {
            let known = AccessScope.allCases.map(\.rawValue).joined(separator: ", ")
            faults.append(.init(pointer: "/scope", detail: "must be one of \(known)"))
        }
        let projects = projects(body["projects"], &faults)
        let lifetime = lifetime(body["expires_in"], &faults)
        guard faults.isEmpty, let name, let scope else {
            let first = faults.first.map { "\($0.pointer) \($0.detail)" } ?? "the body is invalid"
            throw ServiceError(.badRequest, first, errors: faults)
        }
        let view = try await call.service.createToken(
            name: name, scope: scope, projects: projects, lifetime: lifetime, by: call.caller.description)
        var answer = try Answer.json(view, status: .created, location: "/v1/tokens/\(view.id)")
        answer.headers.set("Cache-Control", "no-store")
        return answer
    }

    private static func projects(_ value: JSONValue?, _ faults: inout [ServiceError.Detail]) -> [String]? {
        guard let value, !value.isNull else { return nil }
        let names = value.array?.compactMap(\.string) ?? []
        guard (1...ServiceLimits.tokenProjectsMax).contains(names.count), names.count == value.array?.count,
            names.allSatisfy(NameRule.experiment.matches), Set(names).count == names.count
        else {
            faults.append(
                .init(
                    pointer: "/projects",
                    detail: "must be a list of 1 to \(ServiceLimits.tokenProjectsMax) names of projects, each once, or null for all"))
            return nil
        }
        return names
    }

    private static func lifetime(_ value: JSONValue?, _ faults: inout [ServiceError.Detail]) -> Duration? {
        guard let value, !value.isNull else { return nil }
        guard let duration = Quantity.duration(value), duration >= .seconds(1), duration <= ServiceLimits.tokenLifetimeMax else {
            faults.append(.init(pointer: "/expires_in", detail: "must be a duration such as 90d, from 1s to 3650d, or null for ever"))
            return nil
        }
        return duration
    }

    static func listTokens(_ call: Call) async throws -> Answer { try .json(try await call.service.tokens()) }

    static func revokeToken(_ call: Call) async throws -> Answer { try .json(try await call.service.revokeToken(call.parameter())) }

    static func audit(_ call: Call) async throws -> Answer {
        var since: Timestamp?
        if let text = call.query("since") {
            guard let moment = Timestamp(rfc3339: text) else { throw Call.invalid("since", "must be a time such as 2026-11-20T00:00:00Z") }
            since = moment
        }
        let filter = AuditFilter(actor: call.query("actor"), operation: call.query("operation"), since: since)
        return try .json(try await call.service.auditLog(filter, page: try call.page()))
    }
}
