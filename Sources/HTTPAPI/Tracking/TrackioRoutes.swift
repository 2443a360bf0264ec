import Domain
import EventLoop
import HTTPServer
import JSON
import Service
import Store

/// trackio's HTTP API, as its client calls it (trackio/remote_client.py; transport `http`, version 1).
@LoopActor
enum TrackioRoutes {
    nonisolated static let routes: [Route] = [
        Route(.get, "/version", "trackingVersion", access: .open, bound: .shared, task: version),
        Route(.get, "/health", "trackingHealth", access: .open, bound: .shared) { _ in .text("OK") },
        route("get_runs_for_project", runs), route("bulk_log", log), route("bulk_log_system", logSystem), route("bulk_alert", alert),
    ]

    private nonisolated static func route(
        _ name: String, _ body: @escaping @LoopActor @Sendable (Call, JSONValue) async throws -> JSONValue
    ) -> Route {
        Route(.post, "/api/" + name, "trackio", access: .log, bound: .filtered, anyQuery: true) { call in
            let bytes = try await call.body(upTo: ServiceLimits.trackingRequestBytesMax)
            // What is no JSON and what is another shape of it are told alike.
            guard let document = try? JSONParser.parse(bytes, options: .python), document["kwargs"]?.object != nil else {
                throw ServiceError(.badRequest, "the body must be an object with 'kwargs'")
            }
            return .json(bytes: JSONWriter().bytes(of: ["data": try await body(call, document["kwargs"] ?? [:])]))
        }
    }

    /// trackio and MLflow ask at one address what they talk to, and expect different answers.
    private static func version(_ call: Call) async throws -> Answer {
        if call.request.headers["user-agent"]?.hasPrefix("mlflow") == true { return .text("3.0.0") }
        return .json(
            bytes: JSONWriter().bytes(of: [
                "version": .string(call.service.configuration.version), "api_version": 1, "api_transport": "http",
            ]))
    }

    /// The job that a worker's token stands for; what others log has no job to belong to.
    private static func job(_ call: Call) async throws -> (attempt: String, job: String) {
        guard let attempt = call.caller.attemptID else {
            throw ServiceError(
                .forbidden, "what trackio logs belongs to a job: run the program as a job of kind command, whose environment has the token")
        }
        return (attempt, try await call.service.jobID(ofAttempt: attempt))
    }

    private static func runs(_ call: Call, _ arguments: JSONValue) async throws -> JSONValue {
        _ = try await job(call)
        return []
    }

    private static func log(_ call: Call, _ arguments: JSONValue) async throws -> JSONValue {
        let (attempt, job) = try await job(call)
        let moment = SystemTime.now()
        var batch = TrackedBatch()
        var identifiers: [String] = []
        var known: Set<String> = []
        for entry in arguments["logs"]?.array ?? [] {
            let step = entry["step"]?.int ?? 0
            let time = entry["timestamp"]?.string.flatMap { Timestamp(rfc3339: $0)?.milliseconds } ?? moment
            for (key, value) in flattened(entry["metrics"] ?? [:]) {
                do {
                    batch.metrics.append(
                        try MLflowRequest.point({
                            ["key": .string(key), "value": value, "step": .int(Int64(step)), "timestamp": .int(time)][$0]
                        }))
                } catch {
                    // trackio logs images, tables and texts in the same place; only a number is missed.
                    if value.double != nil { batch.dropped += 1 }
                    continue
                }
                identifiers.append(
                    entry["log_id"]?.string.map { "\($0.prefix(60)):\(key.utf8.reduce(5381) { ($0 &* 33) &+ UInt32($1) })" } ?? "")
            }
            for (key, value) in flattened(entry["config"] ?? [:])
            where known.insert(key).inserted && key.count <= TrackingLimits.keyLengthMax {
                let text = value.string ?? value.description
                if text.count <= TrackingLimits.paramLengthMax { batch.params.append((key, text)) }
            }
        }
        guard batch.metrics.count <= ServiceLimits.pointsPerBatchMax else {
            throw ServiceError(.tooLarge, "more than \(ServiceLimits.pointsPerBatchMax) points in one request")
        }
        // Without identifiers of its own a request can be known by its points alone.
        let areKnown = identifiers.allSatisfy { !$0.isEmpty }
        // A configuration that changes within an attempt is trackio's to say; the first stays.
        let params = batch.params
        batch.params = []
        try await call.service.track(batch, run: job, attemptID: attempt, source: .trackio, clientIDs: areKnown ? identifiers : [])
        var settings = TrackedBatch()
        settings.params = params
        do {
            try await call.service.track(settings, run: job, attemptID: attempt, source: .trackio)
        } catch is TrackingError {
            call.service.log.debug("trackio's configuration changed within an attempt", metadata: ["job": "\(job)"])
        }
        return .null
    }

    /// GPU readings of trackio's own; the daemon takes better ones itself.
    private static func logSystem(_ call: Call, _ arguments: JSONValue) async throws -> JSONValue {
        _ = try await job(call)
        return .null
    }

    private static func alert(_ call: Call, _ arguments: JSONValue) async throws -> JSONValue {
        let (attempt, job) = try await job(call)
        for alert in arguments["alerts"]?.array ?? [] {
            try await call.service.raiseAlert(
                job: job, attemptID: attempt, title: alert["title"]?.string ?? "alert", text: alert["text"]?.string,
                level: alert["level"]?.string ?? "warn", step: alert["step"]?.int, clientID: alert["alert_id"]?.string)
        }
        return .null
    }

    /// Numbers of nested objects under names joined by `/`.
    private static func flattened(_ value: JSONValue, prefix: String = "", depth: Int = 0) -> [(String, JSONValue)] {
        guard let members = value.object, depth < 8 else { return [] }
        return members.flatMap { key, member -> [(String, JSONValue)] in
            let name = prefix.isEmpty ? key : prefix + "/" + key
            return member.object == nil ? [(name, member)] : flattened(member, prefix: name, depth: depth + 1)
        }
    }
}
