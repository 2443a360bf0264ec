import APITypes
import HTTPServer
import JSON
import Service
import Store

/// Turns errors into `application/problem+json` (RFC 9457).
struct Problem {
    /// The absolute base of problem types. RFC 9457 section 3.1.1 prefers absolute URIs; they identify and need not resolve.
    private static let typeBase = "https://anneal.dev/problems/"

    let error: ServiceError
    var headers = HTTPHeaders()

    init(_ error: any Error) {
        switch error {
        case let error as ServiceError: self.error = error
        case let error as StoreError: self.error = ServiceError(storeError: error)
        default: self.error = ServiceError(.internal, "the daemon met an internal error; its log has the details")
        }
        if self.error.code == .unavailable || self.error.code == .tooMany {
            headers.set("Retry-After", String(self.error.retryAfter ?? 1))
        }
        if self.error.code == .unauthorized { headers.set("WWW-Authenticate", "Bearer") }
    }

    /// True where the error is nobody's expected answer and belongs into the log.
    var isUnexpected: Bool { error.code == .internal }

    func answer(instance: String, requestID: String) -> Answer {
        let (status, title) = Self.statusAndTitle(of: error.code.wrapped)
        let view = ProblemView(
            type: Self.typeBase + error.code.description.split(separator: "_").joined(separator: "-"), title: title, status: status.code,
            detail: error.detail, instance: instance, code: error.code.description, requestID: requestID,
            errors: error.errors.map { ProblemError(pointer: $0.pointer, detail: $0.detail, line: $0.line, column: $0.column) })
        var headers = headers
        headers.set("Content-Type", "application/problem+json")
        // A struct of strings and numbers always encodes.
        let body = (try? JSONValue(encoding: view)).map { JSONWriter().bytes(of: $0) } ?? []
        return Answer(status: status, headers: headers, body: body)
    }

    /// The one mapping from what went wrong to HTTP; a new code does not compile until it has a line here.
    static func statusAndTitle(of code: ServiceError.Code.Wrapped) -> (HTTPStatus, String) {
        switch code {
        case .badRequest: (HTTPStatus(400), "Bad request")
        case .unauthorized: (HTTPStatus(401), "Not authenticated")
        case .forbidden: (HTTPStatus(403), "Not allowed")
        case .notFound: (HTTPStatus(404), "Not found")
        case .methodNotAllowed: (HTTPStatus(405), "Method not allowed")
        case .notAcceptable: (HTTPStatus(406), "Not acceptable")
        case .conflict: (HTTPStatus(409), "Conflict")
        case .gone: (HTTPStatus(404), "Deleted")
        case .tooLarge: (HTTPStatus(413), "Too large")
        case .unsupportedMediaType: (HTTPStatus(415), "Unsupported media type")
        case .misdirected: (HTTPStatus(421), "Misdirected request")
        case .invalidSpec: (HTTPStatus(422), "Invalid spec")
        case .unresolvedSpec: (HTTPStatus(409), "Spec cannot be carried out")
        case .cannotFit: (HTTPStatus(409), "Can never fit")
        case .invalidDataset: (HTTPStatus(422), "Invalid dataset")
        case .idempotencyMismatch: (HTTPStatus(422), "Idempotency key reused")
        case .tooMany: (HTTPStatus(429), "Too many requests")
        case .internal: (HTTPStatus(500), "Internal error")
        case .unavailable: (HTTPStatus(503), "Unavailable")
        case .diskFull: (HTTPStatus(507), "Disk full")
        }
    }
}

extension ServiceError {
    fileprivate init(storeError: StoreError) {
        switch storeError.code {
        case .diskFull: self.init(.diskFull, "the disk that holds the data folder is full; nothing was changed")
        case .busy: self.init(.tooMany, "too many writes wait for the disk; try again")
        case .conflict, .illegalTransition: self.init(.conflict, storeError.message)
        case .notFound: self.init(.notFound, storeError.message)
        default: self.init(.internal, "the database refused the request; the daemon's log has the details")
        }
    }
}
