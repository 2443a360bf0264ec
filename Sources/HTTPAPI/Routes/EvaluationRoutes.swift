import EventLoop
import HTTPServer
import JSON
import Service

/// Evaluations: lists, items, comparison.
@LoopActor
enum EvaluationRoutes {
    static func list(_ call: Call) async throws -> Answer {
        try .json(
            try await call.service.evaluations(
                job: call.query("job"), experiment: call.query("experiment"), within: call.caller.reach, page: try call.page()))
    }

    static func get(_ call: Call) async throws -> Answer { try .json(try await call.service.evaluation(call.parameter())) }

    /// The table of NeMo-Skills, as text, CSV, Markdown or JSON.
    static func report(_ call: Call) async throws -> Answer {
        let format = try call.choice("format", as: ReportFormat.self) ?? .text
        let report = try await call.service.evaluationReport(call.parameter())
        var headers = HTTPHeaders()
        headers.set("Content-Type", format.contentType)
        let text =
            switch format {
            case .text: report.text
            case .csv: report.csv
            case .markdown: report.markdown
            case .json: String(decoding: JSONWriter(layout: .pretty).bytes(of: report.json), as: UTF8.self)
            }
        return Answer(status: .ok, headers: headers, body: Array(text.utf8))
    }

    static func items(_ call: Call) async throws -> Answer {
        let items = try await call.service.evaluationItems(
            call.parameter(), benchmark: call.query("benchmark"), onlyWrong: try call.flag("wrong"), page: try call.page())
        return try await .masked(items, by: call.service)
    }

    static func compare(_ call: Call) async throws -> Answer {
        let (base, candidate) = try sides(call)
        return try .json(try await call.service.compare(base: base, candidate: candidate))
    }

    static func flippedItems(_ call: Call) async throws -> Answer {
        let (base, candidate) = try sides(call)
        let items = try await call.service.flippedItems(
            base: base, candidate: candidate, benchmark: call.query("benchmark"), page: try call.page())
        return try await .masked(items, by: call.service)
    }

    private static func sides(_ call: Call) throws(ServiceError) -> (base: String, candidate: String) {
        guard let base = call.query("base"), let candidate = call.query("candidate") else {
            throw ServiceError(.badRequest, "the query parameters 'base' and 'candidate' are required")
        }
        return (base, candidate)
    }
}

/// How a report is written.
private enum ReportFormat: String, CaseIterable {
    case text, csv, markdown, json

    var contentType: String {
        switch self {
        case .text: "text/plain; charset=utf-8"
        case .csv: "text/csv; charset=utf-8"
        case .markdown: "text/markdown; charset=utf-8"
        case .json: "application/json"
        }
    }
}
