/// What to ask a server for.
public struct HTTPClientRequest: Sendable {
    /// The least that a transfer must bring: so many bytes a second, on average over so long.
    public struct LowSpeed: Sendable {
        public var bytesPerSecond: Int
        /// At second resolution, rounded up.
        public var time: Duration

        public init(bytesPerSecond: Int, time: Duration) {
            self.bytesPerSecond = bytesPerSecond
            self.time = time
        }
    }

    /// An `http:` or `https:` URL. With a Unix socket its host only fills the `Host` field.
    public var url: String
    public var method: String
    /// Fields in their order.
    public var headers: [(name: String, value: String)]
    public var body: [UInt8]?
    /// Time for the whole transfer, connecting included; none for a stream that lasts.
    public var timeout: Duration?
    /// Time for name resolution, connection and TLS.
    public var connectTimeout: Duration
    /// A Unix socket to connect to in place of the URL's host.
    public var unixSocketPath: String?
    /// Bytes of a response body that is collected; a longer one is an error.
    public var responseBytesMax: Int
    public var lowSpeed: LowSpeed?
    /// Redirects followed; none by default.
    public var redirectsMax: Int
    /// Whether addresses of this machine and of private networks are refused, whatever name led to them.
    public var refusesPrivateAddresses = false

    public init(
        url: String, method: String = "GET", headers: [(name: String, value: String)] = [], body: [UInt8]? = nil,
        timeout: Duration? = .seconds(60), connectTimeout: Duration = .seconds(10), unixSocketPath: String? = nil,
        responseBytesMax: Int = 64 << 20, lowSpeed: LowSpeed? = nil, redirectsMax: Int = 0
    ) {
        self.url = url
        self.method = method
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.unixSocketPath = unixSocketPath
        self.responseBytesMax = responseBytesMax
        self.lowSpeed = lowSpeed
        self.redirectsMax = redirectsMax
    }
}
