/// Why the server itself answers a request, and with what.
struct HTTPRefusal: Error, Equatable {
    var status: HTTPStatus
    /// A stable word for programs, such as `missing_host`.
    var code: String
    /// A sentence for people.
    var detail: String

    init(_ status: HTTPStatus, _ code: String, _ detail: String) {
        self.status = status
        self.code = code
        self.detail = detail
    }

    /// The body of the answer (RFC 9457). The type `about:blank` says that the title is the status's own phrase.
    var problem: [UInt8] {
        let escaped = String(detail.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] })
        let text = """
            {"type":"about:blank","title":"\(status.reason)","status":\(status.code),"detail":"\(escaped)","code":"\(code)"}
            """
        return Array(text.utf8)
    }

    static func badRequest(_ detail: String) -> HTTPRefusal { HTTPRefusal(.badRequest, "bad_request", detail) }
}
