import EventLoop

/// Answers requests. It is called on the loop when a request's head has come, and must not block.
@LoopActor
public protocol HTTPHandler: AnyObject {
    /// Answers at once, or keeps the exchange and answers later. Every exchange must be answered some time.
    func handle(_ exchange: HTTPExchange)

    /// The methods of the resource at a raw request target; `nil` where there is no such resource. Asked when a request comes with a
    /// method that HTTP does not know, so that it is answered with 405 and not with 501.
    func allowedMethods(at target: String) -> [String]?
}

extension HTTPHandler {
    /// Knows of no resource.
    public func allowedMethods(at target: String) -> [String]? { nil }
}

/// One request and its answer.
///
/// Once the client is gone, everything here does nothing; `onDisconnect` tells.
@LoopActor
public final class HTTPExchange {
    public let request: HTTPRequest

    /// Bytes that the body may have. Set it in `handle`, before reading, to allow uploads or to bound them.
    public var bodyBytesMax: Int64

    /// Called once if the client goes away, or the server's shutdown ends the connection, before the answer has ended.
    ///
    /// A client that closes only its sending side looks the same, so an exchange with this set counts it as gone.
    public var onDisconnect: (@LoopActor () -> Void)?

    /// Called when the server begins to shut down while the answer is pending or streaming: time to end it early.
    public var onShutdown: (@LoopActor () -> Void)?

    private enum Consumer {
        case none
        case collect(bytes: [UInt8], done: @LoopActor (Result<[UInt8], HTTPBodyError>) -> Void)
        case stream(onChunk: @LoopActor ([UInt8]) -> Void, onEnd: @LoopActor (HTTPBodyError?) -> Void)
        case ended
    }

    /// None once the answer has ended or the client is gone.
    private(set) var connection: HTTPConnection?
    private var consumer = Consumer.none
    private var bodyBytes: Int64 = 0

    init(request: HTTPRequest, connection: HTTPConnection, bodyBytesMax: Int64) {
        self.request = request
        self.connection = connection
        self.bodyBytesMax = bodyBytesMax
    }

    /// Whether an answer has begun, or nobody is there any more to get one.
    public var isAnswered: Bool {
        // No closure here: each answer passes, and Swift checks the isolation of every closure that it calls.
        guard let connection else { return true }
        return connection.state.answer != .pending
    }

    // MARK: The request's body

    /// What the request announces: its body's length where it has `Content-Length`, 0 without a body, none when chunked.
    public var announcedBodyBytes: Int64? {
        guard let connection else { return 0 }
        return connection.parser.hasBody ? connection.parser.contentLength : 0
    }

    /// Collects the body, of at most `limit` and `bodyBytesMax` bytes, and calls `done` with it; with no body, at once.
    ///
    /// After a failure the server answers with the fitting problem (413, 408, 400) unless `done` has answered itself.
    public func readBody(upTo limit: Int, _ done: @escaping @LoopActor (Result<[UInt8], HTTPBodyError>) -> Void) {
        bodyBytesMax = min(bodyBytesMax, Int64(limit))
        begin(.collect(bytes: [], done: done))
    }

    /// Hands the body over piece by piece, and calls `onEnd` once, with an error where the body did not come whole.
    ///
    /// After an error the server answers with the fitting problem (413, 408, 400) unless `onEnd` has answered itself.
    public func streamBody(
        onChunk: @escaping @LoopActor ([UInt8]) -> Void, onEnd: @escaping @LoopActor (HTTPBodyError?) -> Void
    ) {
        begin(.stream(onChunk: onChunk, onEnd: onEnd))
    }

    /// Stops the body until `resumeBody`: the socket is not read, and so the client has to wait.
    public func pauseBody() { connection?.pauseBody() }

    /// Lets the body flow again.
    public func resumeBody() { connection?.resumeBody() }

    private func begin(_ consumer: Consumer) {
        guard case .none = self.consumer else { preconditionFailure("the body has been asked for before") }
        self.consumer = consumer
        guard let connection else { return finishBody(.disconnected) }
        guard connection.parser.hasBody else { return finishBody(nil) }
        if let announced = connection.parser.contentLength, announced > bodyBytesMax {
            return connection.failBody(.tooLarge(limit: bodyBytesMax))
        }
        connection.wantBody()
    }

    /// Takes a piece of the body; false when it makes the body too large.
    func deliver(_ bytes: [UInt8]) -> Bool {
        bodyBytes += Int64(bytes.count)
        guard bodyBytes <= bodyBytesMax else { return false }
        switch consumer {
        case .collect(var collected, let done):
            // The array must be held once only, or appending would copy it.
            consumer = .ended
            if collected.isEmpty { collected = bytes } else { collected.append(contentsOf: bytes) }
            consumer = .collect(bytes: collected, done: done)
        case .stream(let onChunk, _): onChunk(bytes)
        case .none, .ended: break
        }
        return true
    }

    /// Tells the consumer of the body's end, once.
    func finishBody(_ error: HTTPBodyError?) {
        let consumer = self.consumer
        self.consumer = .ended
        switch consumer {
        case .collect(let bytes, let done): done(error.map { .failure($0) } ?? .success(bytes))
        case .stream(_, let onEnd): onEnd(error)
        case .none, .ended: break
        }
    }

    // MARK: The answer

    /// Answers with a whole body. `Content-Length`, `Date` and `Connection` are the server's own.
    ///
    /// An answer to HEAD leaves the body out (a `Content-Length` among the headers then stands for it). A second answer
    /// does nothing.
    public func respond(_ status: HTTPStatus, headers: HTTPHeaders = [:], body: [UInt8] = []) {
        guard let connection, !isAnswered else { return }
        connection.respond(self, status, headers: headers, body: body)
    }

    /// Answers with a response that was rendered before.
    public func respond(prepared: HTTPPreparedResponse) {
        guard let connection, !isAnswered else { return }
        connection.respond(self, prepared)
    }

    /// Begins an answer whose body comes piece by piece: in chunks, or up to a `Content-Length` among the headers, or until
    /// the connection closes for an HTTP/1.0 client. A second answer goes nowhere.
    public func startStreaming(_ status: HTTPStatus, headers: HTTPHeaders = [:]) -> HTTPBodyWriter {
        guard let connection, !isAnswered else { return HTTPBodyWriter(exchange: nil, framing: .close, isSuppressed: true) }
        return connection.startStreaming(self, status, headers: headers)
    }

    /// The answer has ended: the exchange lets go of the connection and of its closures.
    func detach() {
        connection = nil
        consumer = .ended
        onDisconnect = nil
        onShutdown = nil
    }

    /// The connection is gone.
    func disconnect() {
        guard connection != nil else { return }
        let onDisconnect = self.onDisconnect
        connection = nil
        finishBody(.disconnected)
        detach()
        onDisconnect?()
    }
}
