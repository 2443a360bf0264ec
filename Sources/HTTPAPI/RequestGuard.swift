import Crypto
import FoundationEssentials
import HTTPServer
import Service
import Synchronization

/// Decides whether a request may reach the API at all: its Host, its Origin, its token; and where it comes from.
public struct RequestGuard: Sendable {
    /// Hosts under which the daemon may be addressed, in the form of `Authority`.
    private let hosts: Set<String>
    /// SHA-256 of the token of the configuration, or `nil` where it has none.
    private let tokenHash: SHA256Digest?
    /// Whether callers over TCP need a token.
    let requiresToken: Bool
    /// Proxies whose word on where a request comes from is taken.
    private let proxies: [IPNetwork]
    private let servedLast = ServedHost()

    /// - Parameters:
    ///   - hosts: names beside the loopback ones.
    ///   - token: the token of the configuration; `nil` serves loopback callers without one.
    ///   - proxies: those before the daemon. Who comes through one is not of this machine, so a token is required of all.
    public init(hosts: [String], token: String?, proxies: [IPNetwork] = []) {
        self.hosts = Set(hosts.compactMap(Authority.host(configured:)) + ["localhost", "127.0.0.1", "[::1]"])
        tokenHash = token.map { SHA256.hash(data: Array($0.utf8)) }
        requiresToken = token != nil || !proxies.isEmpty
        self.proxies = proxies
    }

    /// Whether a text can stand for a host in the configuration: a name or an address, with a port or without.
    public static func isHost(_ text: String) -> Bool { Authority.host(configured: text) != nil }

    /// Refuses names that are not ours: a page of another site that was given our address by DNS (rebinding) still sends its own name.
    func checkHost(_ request: HTTPRequest) throws(ServiceError) {
        if request.isOverUnixSocket { return }
        let host = request.authority ?? ""
        guard isServed(host) else {
            throw ServiceError(.misdirected, "this daemon does not serve the host '\(host)'; add it to 'hosts' in the configuration")
        }
    }

    private func isServed(_ host: String) -> Bool {
        // Clients name one host over and over.
        if servedLast.is(host) { return true }
        guard let authority = Authority(host), hosts.contains(authority.host) else { return false }
        servedLast.note(host)
        return true
    }

    /// Refuses requests that a browser sends for a page of another origin (Fetch standard, section 3.2: the Origin header).
    func checkOrigin(_ request: HTTPRequest) throws(ServiceError) {
        let origins = request.headers.values("origin")
        guard let origin = origins.first else { return }
        let scheme = ["http://": 80, "https://": 443].first { origin.hasPrefix($0.key) }
        guard origins.count == 1, let scheme, let page = Authority(String(origin.dropFirst(scheme.key.count))),
            let own = Authority(request.authority ?? ""), page.host == own.host,
            page.port ?? scheme.value == own.port ?? scheme.value
        else { throw ServiceError(.forbidden, "requests from pages of '\(origin)' are refused") }
    }

    /// True for a request that needs none of the checks below: no token is required or sent, no page sends it, its Host is ours.
    func admitsPlainly(_ request: HTTPRequest) -> Bool {
        let headers = request.headers
        guard !requiresToken, headers["origin"] == nil, headers["authorization"] == nil, headers[Self.trackioField] == nil else {
            return false
        }
        return request.isOverUnixSocket || isServed(request.authority ?? "")
    }

    // MARK: Where it comes from

    /// The address of the client, and whether it is a program of this machine for which no proxy speaks; `nil` over the Unix socket.
    ///
    /// Of what `X-Forwarded-For` lists, the last that no proxy of ours has added counts: those before it anybody can make up.
    func address(of request: HTTPRequest) -> (text: String, key: String, isLocal: Bool)? {
        guard case .tcp(let peer) = request.remote else { return nil }
        let end = peer.lastIndex(of: ":") ?? peer.endIndex
        let host = peer[..<end]
        guard var address = IPAddress(host.hasPrefix("[") ? host.dropFirst().dropLast() : host) else { return (peer, peer, false) }
        var isForwarded = false
        if proxies.contains(where: { $0.contains(address) }) {
            let hops = request.headers.values("x-forwarded-for").joined(separator: ",").split(separator: ",")
            for hop in hops.reversed() {
                guard let earlier = IPAddress(hop.filter { $0 != " " }) else { break }
                isForwarded = true
                address = earlier
                if !proxies.contains(where: { $0.contains(address) }) { break }
            }
        }
        // One who has an IPv6 address has at least 2^64 of them.
        let key = address.bytes.count == 16 ? address.network(bits: 64).description : address.description
        return (address.description, key, address.isLoopback && !isForwarded)
    }

    // MARK: Tokens

    private static let trackioField = "x-trackio-write-token"

    /// The token that a request shows; `nil` where it shows none.
    static func token(of request: HTTPRequest) throws(ServiceError) -> String? {
        try bearerToken(request) ?? request.headers[trackioField]
    }

    /// The token of an `Authorization: Bearer` header; `nil` where there is no such header.
    private static func bearerToken(_ request: HTTPRequest) throws(ServiceError) -> String? {
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

    /// True where `token` is that of the configuration. Digests are compared, in constant time, so the time taken tells nothing of the token.
    func isConfigured(_ token: String) -> Bool { tokenHash.map { $0 == SHA256.hash(data: Array(token.utf8)) } ?? false }
}

/// The host that was found to be ours last, in the spelling of the client.
private final class ServedHost: Sendable {
    private let text = Mutex("")

    func `is`(_ host: String) -> Bool { !host.isEmpty && text.withLock { $0 == host } }
    func note(_ host: String) { text.withLock { $0 = host } }
}
