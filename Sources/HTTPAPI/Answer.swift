import EventLoop
import HTTPServer
import JSON
import Service

/// A complete answer of the API.
struct Answer: Sendable {
    var status: HTTPStatus
    var headers: HTTPHeaders
    var body: [UInt8]

    init(status: HTTPStatus, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A JSON document.
    static func json(_ value: some Encodable, status: HTTPStatus = .ok, location: String? = nil) throws -> Answer {
        json(bytes: JSONWriter().bytes(of: try JSONValue(encoding: value)), status: status, location: location)
    }

    static func json(bytes: [UInt8], status: HTTPStatus = .ok, location: String? = nil) -> Answer {
        var headers = HTTPHeaders()
        headers.set("Content-Type", "application/json")
        if let location { headers.set("Location", location) }
        return Answer(status: status, headers: headers, body: bytes)
    }

    /// What a request made, or found to be there already; the audit log takes from the headers which thing it was.
    static func made(_ value: some Encodable, at location: String, isNew: Bool) throws -> Answer {
        var answer = try json(value, status: isNew ? .created : .ok, location: isNew ? location : nil)
        if !isNew { answer.headers.set("Content-Location", location) }
        return answer
    }

    /// The same of what a worker has written, without the secrets that it may have told of.
    @LoopActor
    static func masked(_ value: some Encodable, by service: AnnealService) async throws -> Answer {
        json(bytes: try await service.hidingSecrets(in: JSONWriter().bytes(of: try JSONValue(encoding: value))))
    }

    static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Answer {
        var headers = HTTPHeaders()
        headers.set("Content-Type", type)
        return Answer(status: .ok, headers: headers, body: Array(text.utf8))
    }
}
