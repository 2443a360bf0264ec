import Crypto
import FoundationEssentials
import HTTPServer
import Service

/// Who sends a request.
enum Caller: Sendable, Equatable {
    /// No token was needed.
    case anonymous
    case user
    /// A worker, with the token of its attempt.
    case attempt(String)

    /// The attempt whose worker calls.
    var attemptID: String? { if case .attempt(let id) = self { id } else { nil } }
}

/// Decides whether a request may reach the API at all: its Host, its Origin, its token.
public struct RequestGuard: Sendable {
    /// Host names (without port) under which the daemon may be addressed.
    private let hosts: Set<String>
    /// SHA-256 of the token that is required, or `nil` where none is.
    private let tokenHash: SHA256Digest?

    /// - Parameters:
    ///   - hosts: names beside the loopback ones, in lower case.
    ///   - token: the bearer token; `nil` serves loopback callers without one.
    public init(hosts: [String], token: String?) {
        self.hosts = Set(hosts.map { $0.lowercased() } + ["localhost", "127.0.0.1", "[::1]"])
        tokenHash = token.map { SHA256.hash(data: Array($0.utf8)) }
    }

    /// Refuses names that are not ours: a page of another site that was given our address by DNS (rebinding) still sends its own name.
    func checkHost(_ request: HTTPRequest) throws(ServiceError) {
        if request.isOverUnixSocket { return }
        let host = request.headers["host"] ?? ""
        guard hosts.contains(Self.name(ofAuthority: host)) else {
            throw ServiceError(.misdirected, "this daemon does not serve the host '\(host)'; add it to 'hosts' in the configuration")
        }
    }

    /// Refuses requests that a browser sends for a page of another origin (Fetch standard, section 3.2: the Origin header).
    func checkOrigin(_ request: HTTPRequest) throws(ServiceError) {
        guard let origin = request.headers["origin"] else { return }
        let authority = origin.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first.map(String.init) ?? ""
        guard origin.hasPrefix("http://") || origin.hasPrefix("https://"),
            authority.lowercased() == (request.headers["host"] ?? "").lowercased()
        else { throw ServiceError(.forbidden, "requests from pages of '\(origin)' are refused") }
    }

    /// True for a request that needs none of the checks below: no token is required or sent, no page sends it, its Host is ours.
    func admitsPlainly(_ request: HTTPRequest) -> Bool {
        let headers = request.headers
        guard tokenHash == nil, headers["origin"] == nil, headers["authorization"] == nil else { return false }
        return request.isOverUnixSocket || hosts.contains(Self.name(ofAuthority: headers["host"] ?? ""))
    }

    /// The token of an `Authorization: Bearer` header; `nil` where there is no such header.
    static func bearerToken(_ request: HTTPRequest) throws(ServiceError) -> String? {
        guard let header = request.headers["authorization"] else { return nil }
        let parts = header.split(separator: " ")
        // MLflow's clients send a user and a password where they are given those; the password is the token then (RFC 7617).
        if parts.count == 2, parts[0].lowercased() == "basic", let pair = Data(base64Encoded: String(parts[1])),
            let colon = pair.firstIndex(of: UInt8(ascii: ":"))
        {
            return String(decoding: pair[(colon + 1)...], as: UTF8.self)
        }
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw ServiceError(.unauthorized, "the Authorization header must be 'Bearer TOKEN'")
        }
        return String(parts[1])
    }

    /// True where `token` is the user's token. Digests are compared, so the time taken tells nothing of the token.
    func isUserToken(_ token: String) -> Bool { tokenHash.map { $0 == SHA256.hash(data: Array(token.utf8)) } ?? false }

    var requiresToken: Bool { tokenHash != nil }

    private static func name(ofAuthority authority: String) -> String {
        // Nearly all clients of this machine write the address in digits, which have no case.
        if authority.utf8.allSatisfy({ $0 < 0x40 }) { return String(authority.prefix { $0 != ":" }) }
        let lowered = authority.lowercased()
        if lowered.hasPrefix("["), let end = lowered.firstIndex(of: "]") { return String(lowered[...end]) }
        return String(lowered.prefix { $0 != ":" })
    }
}
