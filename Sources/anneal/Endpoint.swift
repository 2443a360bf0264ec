import Glibc

/// Where the daemon is: an address of the web, or a Unix socket.
struct Endpoint: Equatable {
    static let standard = "http://127.0.0.1:7600"

    /// What requests' paths are appended to; without a slash at its end.
    var baseURL: String
    var unixSocketPath: String?
    /// As the user wrote it, for messages.
    var text: String

    /// Reads `http://host:port`, `https://…` or `unix:///path/of/the/socket`.
    init(_ text: String) throws {
        self.text = text
        let scheme = text.prefix { $0 != ":" }
        let rest = text.dropFirst(scheme.count)
        switch scheme {
        case "unix":
            let path = rest.hasPrefix("://") ? rest.dropFirst(3) : rest.dropFirst(1)
            guard path.hasPrefix("/") else { throw Self.failure(text) }
            unixSocketPath = String(path)
            baseURL = "http://localhost"
        case "http", "https":
            guard rest.hasPrefix("://"), rest.count > 3 else { throw Self.failure(text) }
            baseURL = text
            while baseURL.hasSuffix("/") { baseURL.removeLast() }
        default:
            throw Self.failure(text)
        }
    }

    private static func failure(_ text: String) -> CommandFailure {
        CommandFailure(
            .usage, "'\(text)' is no address of a daemon; write http://HOST:PORT or unix:///PATH/OF/SOCKET (ANNEAL_URL or --url)")
    }
}

/// Variables of the process environment.
enum Environment {
    /// The value of `name`; `nil` where it is unset or empty.
    static func value(_ name: String) -> String? {
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }
}
