import APITypes
import Domain
import EventLoop
import HTTPServer
import Service

/// The machine and what connects its artifacts.
@LoopActor
enum MachineRoutes {
    static func gpus(_ call: Call) async throws -> Answer { try .json(try await call.service.gpus(within: call.caller.reach)) }

    /// The body may give a reason; there need not be one.
    static func drain(_ call: Call) async throws -> Answer {
        let members = call.hasBody ? try await call.jsonBody(upTo: ServiceLimits.requestBytesMax).object : [:]
        guard let members, members.keys.allSatisfy({ $0 == "reason" }),
            members["reason"].map({ ($0.string?.unicodeScalars.count).map { (1...100).contains($0) } ?? false }) ?? true
        else { throw ServiceError(.badRequest, "the body must be an object with nothing but 'reason', a text of 1 to 100 characters") }
        return try .json(try await call.service.drain(gpu: call.parameter(), reason: members["reason"]?.string))
    }

    static func undrain(_ call: Call) async throws -> Answer { try .json(try await call.service.undrain(gpu: call.parameter())) }

    /// Readings of the last seconds.
    static func deviceHistory(_ call: Call) async throws -> Answer {
        try .json(call.service.deviceHistory(seconds: try call.integer("seconds", in: 1...3600) ?? 600))
    }

    static func clusters(_ call: Call) async throws -> Answer {
        try .json(ClustersView(data: call.service.clusterViews(within: call.caller.reach)))
    }

    /// GPU-hours.
    static func usage(_ call: Call) async throws -> Answer {
        var since: Timestamp?
        if let text = call.query("since") {
            guard let moment = Timestamp(rfc3339: text) else { throw Call.invalid("since", "must be a time such as 2026-11-20T00:00:00Z") }
            since = moment
        }
        return try .json(try await call.service.usage(by: try call.choice("by", as: UsageGroup.self) ?? .project, since: since))
    }

    static func queue(_ call: Call) async throws -> Answer {
        try .json(try await call.service.queue(within: call.caller.reach, page: try call.page()))
    }

    static func doctor(_ call: Call) async throws -> Answer { try .json(try await call.service.doctor(isDeep: try call.flag("deep"))) }

    static func lineage(_ call: Call) async throws -> Answer {
        try .json(try await call.service.lineage(call.parameter(), within: call.caller.reach))
    }
}
