import EventLoop
import HTTPServer
import Service

/// What the daemon tells of itself.
@LoopActor
enum ContractRoutes {
    static func health(_ call: Call) async throws -> Answer {
        let health = await call.service.health
        return try .json(health, status: health.status == "ok" ? .ok : .serviceUnavailable)
    }

    static func contract(_ call: Call) async throws -> Answer {
        var headers = HTTPHeaders()
        headers.set("Content-Type", "application/yaml")
        return Answer(status: .ok, headers: headers, body: Contract.bytes)
    }

    static func prometheus(_ call: Call) async throws -> Answer {
        .text(try await call.service.prometheusMetrics(), type: "text/plain; version=0.0.4; charset=utf-8")
    }
}
