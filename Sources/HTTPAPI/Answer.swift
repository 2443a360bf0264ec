import HTTPServer
import JSON

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

    static func text(_ text: String, type: String = "text/plain; charset=utf-8") -> Answer {
        var headers = HTTPHeaders()
        headers.set("Content-Type", type)
        return Answer(status: .ok, headers: headers, body: Array(text.utf8))
    }
}
