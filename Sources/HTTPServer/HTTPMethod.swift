import CLLHTTP

/// A request method, such as `GET`. Names are case-sensitive (RFC 9110 §9.1).
public struct HTTPMethod: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let get = HTTPMethod(rawValue: "GET")
    public static let head = HTTPMethod(rawValue: "HEAD")
    public static let post = HTTPMethod(rawValue: "POST")
    public static let put = HTTPMethod(rawValue: "PUT")
    public static let patch = HTTPMethod(rawValue: "PATCH")
    public static let delete = HTTPMethod(rawValue: "DELETE")
    public static let options = HTTPMethod(rawValue: "OPTIONS")
    public static let connect = HTTPMethod(rawValue: "CONNECT")

    public var description: String { rawValue }

    /// Methods by llhttp's numbers. Those after SOURCE belong to other protocols: HTTP/2's preface and RTSP.
    static let known: [HTTPMethod] = (0...HTTP_SOURCE.rawValue).map { number in
        HTTPMethod(rawValue: String(cString: llhttp_method_name(llhttp_method_t(rawValue: number))))
    }
}
