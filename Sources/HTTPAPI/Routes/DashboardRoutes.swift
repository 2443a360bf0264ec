import EventLoop
import HTTPServer
import Service

/// The dashboard: static files, under a policy that lets a page run nothing but them.
@LoopActor
enum DashboardRoutes {
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'"

    static func index(_ call: Call) async throws -> Answer {
        guard let page = call.dashboard.file("index.html") else { return plain(call) }
        return answer(page, call)
    }

    static func asset(_ call: Call) async throws -> Answer {
        guard let file = call.dashboard.file(call.parameter()) else {
            throw ServiceError(.notFound, "the dashboard has no file '\(call.parameter())'")
        }
        return answer(file, call)
    }

    private static func answer(_ file: DashboardFiles.File, _ call: Call) -> Answer {
        var headers = HTTPHeaders()
        headers.set("Content-Security-Policy", policy)
        headers.set("X-Content-Type-Options", "nosniff")
        headers.set("Referrer-Policy", "no-referrer")
        headers.set("ETag", file.tag)
        // Asked for each time, and sent only where it has changed: a new daemon brings a new page.
        headers.set("Cache-Control", "no-cache")
        if call.request.headers["if-none-match"] == file.tag { return Answer(status: HTTPStatus(304), headers: headers, body: []) }
        headers.set("Content-Type", file.type)
        return Answer(status: .ok, headers: headers, body: file.bytes)
    }

    /// Where the dashboard is not installed: what this is and where to go.
    private static func plain(_ call: Call) -> Answer {
        let page = """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <title>Anneal</title>
            <h1>Anneal \(call.service.configuration.version)</h1>
            <p>The dashboard's files are not installed here. The API is at <a href="/openapi.yaml">/openapi.yaml</a>.</p>
            </html>

            """
        var answer = Answer.text(page, type: "text/html; charset=utf-8")
        answer.headers.set("Content-Security-Policy", policy)
        return answer
    }
}
