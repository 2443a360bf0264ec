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

    /// A page that says what this is and where to go; the curves live in the API and the CLI.
    static func index(_ call: Call) async throws -> Answer {
        let health = await call.service.health
        let page = """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>Anneal</title>
            <style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem}code{font-size:.95em}</style>
            <h1>Anneal</h1>
            <p>Version \(health.version), \(health.status) since \(health.startedAt).</p>
            <ul>
            <li><a href="/v1/experiments">Experiments</a>, <a href="/v1/jobs">jobs</a>, <a href="/v1/queue">queue</a></li>
            <li><a href="/v1/datasets">Datasets</a>, <a href="/v1/checkpoints">checkpoints</a>, <a href="/v1/evaluations">evaluations</a></li>
            <li><a href="/v1/gpus">GPUs</a>, <a href="/healthz">health</a>, <a href="/metrics">Prometheus metrics</a></li>
            <li><a href="/openapi.yaml">The contract</a> (OpenAPI 3.1)</li>
            </ul>
            <p>In a terminal: <code>anneal ls</code>, <code>anneal watch EXPERIMENT</code>.</p>
            </html>

            """
        var answer = Answer.text(page, type: "text/html; charset=utf-8")
        answer.headers.set(
            "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
        return answer
    }
}
