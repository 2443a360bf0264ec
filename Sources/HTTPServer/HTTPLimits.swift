/// Every bound of the HTTP server. What is past a bound is refused with a named error, or waits; nothing grows without one.
public struct HTTPLimits: Sendable {
    // MARK: Request heads

    /// Bytes of a request target; a longer one is answered 414.
    public var targetBytesMax = 32 << 10
    /// Bytes of a request line and all header fields, up to and with the empty line; more is answered 431.
    public var headBytesMax = 64 << 10
    /// Header fields of a request; more are answered 431.
    public var headerCountMax = 100

    // MARK: Request bodies

    /// Bytes of a request body unless the handler allows another number with `HTTPExchange.bodyBytesMax`; more is answered 413.
    public var bodyBytesMax: Int64 = 8 << 20
    /// Bytes that chunk sizes, chunk extensions and trailers may take, beyond sixteen for each byte of the body itself.
    public var chunkFramingBytesMax = 8 << 10
    /// Bytes of a body that nobody reads which are still taken in to keep the connection; with more to come it is closed.
    public var drainedBodyBytesMax: Int64 = 256 << 10

    // MARK: Connections

    /// Open connections. At the bound a new one takes the place of the longest idle one, or else is answered 503.
    public var connectionsMax = 8192
    /// Bytes of requests that may wait on a connection while an earlier one is answered; then its socket is not read.
    public var pipelinedBytesMax = 64 << 10
    /// Answered bytes that may wait for a slow reader before its next request is looked at.
    public var pipelinedAnswerBytesMax = 256 << 10
    /// Unsent bytes of a streamed answer. A producer that ignores `HTTPBodyWriter.bufferedBytes` past this loses the connection.
    public var writeBufferBytesMax = 8 << 20

    // MARK: Slow peers

    /// Time from the first byte of a request to the end of its head; then 408.
    public var headTimeout: Duration = .seconds(10)
    /// Time without a byte of a body that the handler wants; then 408.
    public var bodyIdleTimeout: Duration = .seconds(30)
    /// Bytes a second that a body must bring on average over spans of at least `bodyIdleTimeout`; else 408.
    public var bodyBytesPerSecondMin = 64
    /// Time that a connection may be open with no request under way; then it is closed.
    public var keepAliveTimeout: Duration = .seconds(75)
    /// Time in which the peer takes none of the bytes that wait for it; then the connection is closed.
    public var writeStallTimeout: Duration = .seconds(30)
    /// Time for which bytes are still taken in and dropped after a final answer, so that the peer can read that answer.
    public var lingerTimeout: Duration = .seconds(2)

    public init() {}

    /// The bounds that the daemon uses.
    public static let standard = HTTPLimits()
}
