/// Why a request body did not come whole.
public enum HTTPBodyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The body has more bytes than allowed.
    case tooLarge(limit: Int64)
    /// The client sent too slowly.
    case timedOut
    /// The chunks are malformed.
    case malformed(String)
    /// The client went away, or the server shut down.
    case disconnected

    public var description: String {
        switch self {
        case .tooLarge(let limit): "The request body has more than \(limit) bytes."
        case .timedOut: "The request body came too slowly."
        case .malformed(let detail): detail
        case .disconnected: "The client closed the connection within the request body."
        }
    }

    /// What the client is told; none where nobody is there to be told.
    var refusal: HTTPRefusal? {
        switch self {
        case .tooLarge: HTTPRefusal(.contentTooLarge, "body_too_large", description)
        case .timedOut: HTTPRefusal(.requestTimeout, "request_timeout", description)
        case .malformed: HTTPRefusal(.badRequest, "bad_request", description)
        case .disconnected: nil
        }
    }
}
