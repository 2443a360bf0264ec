import EventLoop

/// Writes the body of a streamed answer.
///
/// Nothing here blocks: what the client does not take yet is kept, and `bufferedBytes` tells how much that is. A producer
/// that can wait stops when it is more than it likes and goes on in `onDrain`. One that does not stop loses the connection
/// at `HTTPLimits.writeBufferBytesMax`.
@LoopActor
public final class HTTPBodyWriter {
    private var exchange: HTTPExchange?
    private let framing: HTTPResponseHead.Framing
    private let isSuppressed: Bool
    /// Bytes that the announced length leaves.
    private var rest: Int?

    /// Called each time that all bytes have gone out after `bufferedBytes` was above zero.
    public var onDrain: (@LoopActor () -> Void)?

    init(exchange: HTTPExchange?, framing: HTTPResponseHead.Framing, isSuppressed: Bool) {
        self.exchange = exchange
        self.framing = framing
        self.isSuppressed = isSuppressed
        if case .length(let count) = framing { rest = count }
    }

    private var connection: HTTPConnection? { exchange?.connection }

    /// Whether the answer has ended, or the client is gone.
    public var isEnded: Bool { connection == nil }

    /// Bytes that the client has not taken yet.
    public var bufferedBytes: Int { connection?.unsentCount ?? 0 }

    /// Sends bytes. Those beyond an announced length cut the answer off, since the client would take them for the next one.
    public func write(_ bytes: [UInt8]) {
        guard let connection, !bytes.isEmpty, !isSuppressed else { return }
        switch framing {
        case .chunked:
            // RFC 9112 §7.1: the size in hexadecimal, then the bytes.
            connection.output.append(number: bytes.count, radix: 16)
            connection.output.append("\r\n")
            connection.output.append(bytes)
            connection.output.append("\r\n")
        case .length:
            guard let rest, bytes.count <= rest else { return abort() }
            self.rest = rest - bytes.count
            connection.output.append(bytes)
        case .close: connection.output.append(bytes)
        }
        connection.streamed()
    }

    /// Ends the answer. One that is shorter than its announced length is cut off instead, so that the client notices.
    public func finish() {
        guard let connection else { return }
        if let rest, rest > 0, !isSuppressed { return abort() }
        if framing == .chunked, !isSuppressed { connection.output.append("0\r\n\r\n") }
        release()
        connection.endAnswer()
    }

    /// Cuts the answer off by closing the connection, so that the client does not take it for complete.
    public func abort() {
        guard let connection else { return }
        release()
        connection.exchange?.detach()
        connection.close()
    }

    func release() {
        exchange = nil
        onDrain = nil
    }
}
