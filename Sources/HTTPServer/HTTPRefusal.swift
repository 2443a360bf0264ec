/// Why the server itself answers a request, and with what.
///
/// A class, so that the results which nearly never hold one stay as small as a pointer.
final class HTTPRefusal: Error, Equatable {
    let status: HTTPStatus
    /// A stable word for programs, such as `missing_host`.
    let code: String
    /// A sentence for people.
    let detail: String
    /// What a request with an unknown method was about; the handler may know which methods that has.
    let target: String?

    init(_ status: HTTPStatus, _ code: String, _ detail: String, target: String? = nil) {
        self.status = status
        self.code = code
        self.detail = detail
        self.target = target
    }

    static func == (left: HTTPRefusal, right: HTTPRefusal) -> Bool {
        left.status == right.status && left.code == right.code && left.detail == right.detail
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
