/// A request without its body.
public struct HTTPRequest: Sendable {
    /// Where a request came from.
    public enum Remote: Sendable, Hashable, CustomStringConvertible {
        /// TCP, with the peer's numeric address and port, such as `127.0.0.1:40312` or `[::1]:40312`.
        case tcp(String)
        /// The Unix socket, which only the daemon's own user can open, with the user at its other end where the kernel tells.
        case unix(user: UInt32?)

        public var description: String {
            switch self {
            case .tcp(let address): address
            case .unix: "unix"
            }
        }
    }

    let head: HTTPHead
    /// The parts of the target within the head.
    let place: HTTPTarget
    public let remote: Remote
    /// A number that no other request of this process has.
    public let id: UInt64

    public var method: HTTPMethod { head.method }
    /// The minor version: 1 for HTTP/1.1, 0 for HTTP/1.0.
    public var minorVersion: Int { head.minorVersion }
    public var headers: HTTPHeaders { HTTPHeaders(head: head) }
    /// Whether the request came over the Unix socket.
    public var isOverUnixSocket: Bool { if case .unix = remote { true } else { false } }

    /// The request target as it was sent.
    public var target: String { head.text(head.target) }
    /// The host and port that the request is for: of an absolute target, else the `Host` field (RFC 9112 §3.2.2).
    public var authority: String? { place.authority.map { head.text($0) } ?? headers["host"] }

    /// The path as it was sent, of an absolute target too.
    public var rawPath: String { place.path.count > 0 ? head.text(place.path) : "/" }

    /// The path, percent-decoded except for `%2F`, which is not a separator; `*` for `OPTIONS *`.
    public var path: String {
        guard place.path.count > 0 else { return "/" }  // An absolute target without a path (RFC 9110 §4.2.3).
        // The head's rules have refused targets that do not decode.
        return PercentCoding.decode(head.bytes[place.path.range], keepsSlashes: true) ?? ""
    }

    /// The query as it was sent, without the question mark.
    public var rawQuery: String? { place.query.map { head.text($0) } }

    /// The query's parameters in their order, decoded; one without `=` has an empty value.
    public var query: [(name: String, value: String)] {
        guard let query = place.query else { return [] }
        return head.bytes[query.range].split(separator: UInt8(ascii: "&")).map { pair in
            let sides = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let texts = sides.map { PercentCoding.decode($0, plusIsSpace: true) ?? "" }
            return (name: texts[0], value: texts.count > 1 ? texts[1] : "")
        }
    }

    /// The first query parameter of this name.
    public func queryValue(_ name: String) -> String? {
        place.query == nil ? nil : query.first { $0.name == name }?.value
    }
}
