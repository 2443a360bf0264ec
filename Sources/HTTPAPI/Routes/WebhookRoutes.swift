import APITypes
import EventLoop
import HTTPServer
import JSON
import Service
import Specification

/// Webhooks and what was sent to them.
@LoopActor
enum WebhookRoutes {
    static func create(_ call: Call) async throws -> Answer {
        let known = ["url", "types", "project", "secret"]
        guard let members = try await call.jsonBody(upTo: ServiceLimits.requestBytesMax).object, members.keys.allSatisfy(known.contains)
        else {
            throw ServiceError(.badRequest, "the body must be an object with 'url' and, if wanted, 'types', 'project' and 'secret'")
        }
        guard let url = members["url"]?.string else { throw ServiceError(.badRequest, "'url' is missing") }
        let types = try members["types"].map { value -> [String] in
            let list = value.array?.compactMap(\.string) ?? []
            guard (1...50).contains(list.count), list.count == value.array?.count, list.allSatisfy(isKind) else {
                throw ServiceError(.badRequest, "'types' must be a list of kinds of events such as job.failed, experiment.* or alert")
            }
            return list
        }
        let project = try text(members["project"], "project")
        guard project.map(NameRule.experiment.matches) ?? true else {
            throw ServiceError(.badRequest, "'project' is no name of a project: \(NameRule.experiment.description)")
        }
        let view = try await call.service.createWebhook(
            url: url, types: types, project: project, secret: try text(members["secret"], "secret"))
        return try .json(view, status: .created)
    }

    /// Whether a text can name a kind of events, or many: `job.failed`, `experiment.*`, `*`.
    private static func isKind(_ text: String) -> Bool {
        func isWord(_ word: Substring) -> Bool {
            (1...24).contains(word.utf8.count) && word.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x5F }
        }
        let words = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard words.count == 2 else { return text == "*" || isWord(words[0]) }
        return isWord(words[0]) && (words[1] == "*" || isWord(words[1]))
    }

    private static func text(_ value: JSONValue?, _ name: String) throws -> String? {
        switch value {
        case nil, .null?: return nil
        case .string(let text)? where (1...200).contains(text.utf8.count): return text
        default: throw ServiceError(.badRequest, "'\(name)' must be a text")
        }
    }

    static func list(_ call: Call) async throws -> Answer { try .json(WebhookListView(data: try await call.service.webhooks())) }

    static func delete(_ call: Call) async throws -> Answer {
        try await call.service.deleteWebhook(call.parameter())
        return Answer(status: .noContent, body: [])
    }

    static func deliveries(_ call: Call) async throws -> Answer {
        try .json(try await call.service.deliveries(webhook: call.parameter(), page: try call.page()))
    }

    static func ping(_ call: Call) async throws -> Answer {
        try await call.service.pingWebhook(call.parameter())
        return Answer(status: .noContent, body: [])
    }

    static func replay(_ call: Call) async throws -> Answer {
        try await call.service.replayDelivery(call.parameter(1), webhook: call.parameter())
        return Answer(status: .noContent, body: [])
    }
}
