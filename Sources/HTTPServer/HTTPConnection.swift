import CUV
import EventLoop

/// One client connection: the shell that moves bytes between a libuv stream, the parser, the state machine and a handler.
///
/// What to do is decided by `HTTPConnectionState`; this does it. The loop retains it from the accept until libuv has let
/// go of its handles.
@LoopActor
final class HTTPConnection {
    /// How the connection ends when all that is unsent has been sent.
    enum Closing { case no, atOnce, lingering }

    let server: HTTPServer
    let remote: HTTPRequest.Remote
    let parser: HTTPRequestParser
    var state: HTTPConnectionState
    /// The place in the server's list.
    var index = 0

    /// None once the connection is closed.
    private(set) var stream: UnsafeMutablePointer<uv_stream_t>?
    private let timer: UnsafeMutablePointer<uv_timer_t>
    private let loop: UnsafeMutablePointer<uv_loop_t>
    private var armedUntil: UInt64?
    /// Whether the timer has fired for the current deadline once already.
    private var isLastCall = false

    /// What has come and cannot be looked at yet.
    var pending: [UInt8] = []
    /// Bytes of the read being consumed that have not been parsed.
    var unparsedCount = 0
    var isConsuming = false
    private var isReading = false
    private var hasReadEnd = false
    var closing = Closing.no

    /// What is to be sent next; what libuv is sending; and an empty buffer in reserve.
    var output = OutputBuffer()
    private var inFlight: OutputBuffer?
    private var spare: OutputBuffer?
    private var queueSizeSeen = 0
    /// Whether the writer has been left with bytes that wait, and so is to be told when they are gone.
    var owesDrain = false

    var exchange: HTTPExchange?
    var writer: HTTPBodyWriter?

    /// Takes over an accepted stream.
    init(server: HTTPServer, stream: UnsafeMutablePointer<uv_stream_t>, remote: HTTPRequest.Remote) {
        self.server = server
        self.stream = stream
        self.remote = remote
        parser = HTTPRequestParser(limits: server.limits)
        timer = .allocate(capacity: 1)
        loop = stream.pointee.loop
        uv_timer_init(loop, timer)
        state = HTTPConnectionState(times: server.times, drainedBodyBytesMax: server.limits.drainedBodyBytesMax, now: uv_now(loop))
        UVHandle.attach(self, to: stream)
        UVHandle.attach(self, to: timer)
    }

    var now: UInt64 { loop.pointee.time }

    /// Bytes of answers that the peer has not taken.
    var unsentCount: Int { output.count + (inFlight?.count ?? 0) }

    /// Whether no request is under way, so that closing loses nothing.
    var isIdle: Bool { state.reading == .idle && pending.isEmpty && unsentCount == 0 }

    /// Closes both handles and tells the exchange that it is alone.
    func close() {
        guard let stream else { return }
        self.stream = nil
        UVHandle.close(stream)
        UVHandle.close(timer)
        server.remove(self)
        writer?.release()
        writer = nil
        let exchange = self.exchange
        self.exchange = nil
        exchange?.disconnect()
    }

    /// The server shuts down.
    func drain() {
        if state.drain(), unsentCount == 0 { return close() }
        exchange?.onShutdown?()
        advance()
    }

    // MARK: Reading

    func didRead(_ bytes: UnsafeRawBufferPointer) {
        if state.reading == .lingering || closing != .no { return }
        if pending.isEmpty { return consume(bytes) }
        pending.append(contentsOf: bytes)
        advance()
    }

    func didReadEnd() {
        hasReadEnd = true
        if state.reading == .lingering { return close() }
        advance()
    }

    /// Whether the next bytes may be parsed: never while the peer leaves too many answers unread.
    private var mayParse: Bool {
        guard stream != nil, closing == .no, state.canParse else { return false }
        switch state.reading {
        case .idle, .head: return unsentCount <= server.limits.pipelinedAnswerBytesMax
        default: return true
        }
    }

    private func consume(_ bytes: UnsafeRawBufferPointer) {
        isConsuming = true
        var rest = bytes
        while !rest.isEmpty, mayParse {
            state.bytesArrive(now: now)
            let (consumed, event) = parser.parse(rest)
            rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
            unparsedCount = rest.count
            handle(event)
        }
        if !rest.isEmpty, stream != nil, closing == .no { pending.append(contentsOf: rest) }
        unparsedCount = 0
        isConsuming = false
        settle()
    }

    private func handle(_ event: HTTPRequestParser.Event) {
        switch event {
        case .more: deliverBody()
        case .head(let accepted): dispatch(accepted)
        case .end:
            deliverBody()
            guard stream != nil, closing == .no, state.isInBody else { return }
            state.messageEnded(now: now)
            exchange?.finishBody(nil)
        case .refused(let refusal):
            if exchange != nil { failBody(.malformed(refusal.detail)) } else { refuse(refusal) }
        }
    }

    private func dispatch(_ accepted: HTTPHeadRules.Accepted) {
        state.headEnded(
            hasBody: parser.hasBody, contentLength: parser.contentLength, keepsAlive: parser.keepsAlive,
            expectsContinue: accepted.expectsContinue, now: now)
        let request = HTTPRequest(head: parser.head, place: accepted.target, remote: remote, id: server.makeRequestID())
        let exchange = HTTPExchange(request: request, connection: self, bodyBytesMax: server.limits.bodyBytesMax)
        self.exchange = exchange
        server.handler.handle(exchange)
    }

    private func deliverBody() {
        guard !parser.body.isEmpty else { return }
        guard state.bodyArrived(parser.body.count, now: now) else {
            closing = .lingering
            return
        }
        guard let exchange, state.reading != .discardedBody else { return }
        if !exchange.deliver(parser.takeBody()) { failBody(.tooLarge(limit: exchange.bodyBytesMax)) }
    }

    /// Goes on after something changed outside `consume`.
    func advance() {
        guard !isConsuming, stream != nil else { return }
        guard !pending.isEmpty, mayParse else { return settle() }
        let bytes = pending
        pending = []
        bytes.withUnsafeBytes { consume($0) }
    }

    /// Sends what is to be sent, and brings reading and the timer in line with the state.
    private func settle() {
        flush()
        tellDrained()
        guard stream != nil else { return }
        if closing != .no {
            if unsentCount == 0 { return endConnection() }
        } else if hasReadEnd, pending.isEmpty {
            peerEnded()
            guard stream != nil else { return }
        } else if !pending.isEmpty, mayParse {
            return advance()
        }
        updateReading()
        rearm()
    }

    private func peerEnded() {
        switch state.peerEnded() {
        case .close: if unsentCount == 0 { close() } else { closing = .atOnce }
        case .failBody: failBody(.disconnected)
        case .awaitAnswer: if exchange?.onDisconnect != nil { close() }
        }
    }

    private func endConnection() {
        guard closing == .lingering, !hasReadEnd, let stream else { return close() }
        guard state.reading != .lingering else { return }
        // RFC 9112 §9.6: closing with unread bytes would reset the connection and may destroy the answer on its way.
        closing = .no
        state.linger(now: now)
        pending = []
        uv_shutdown(server.makeShutdownRequest(), stream) { request, _ in request?.deallocate() }
        updateReading()
        rearm()
    }

    func updateReading() {
        guard let stream else { return }
        let wantsBytes: Bool
        switch state.reading {
        case .lingering: wantsBytes = true
        case .pausedBody: wantsBytes = false
        // With nothing to parse, reading goes on to see the peer leave, up to the bound.
        default: wantsBytes = closing == .no && (mayParse || pending.count < server.limits.pipelinedBytesMax)
        }
        let shouldRead = wantsBytes && !hasReadEnd
        guard shouldRead != isReading else { return }
        isReading = shouldRead
        if shouldRead { HTTPStreamCallbacks.startReading(stream) } else { uv_read_stop(stream) }
    }

    /// Begins to serve the accepted connection.
    func start() { settle() }

    // MARK: Writing

    func flush() {
        guard let stream, inFlight == nil, !output.isEmpty else { return }
        let sent = HTTPStreamCallbacks.tryWrite(output, to: stream)
        if sent == output.count {
            output.consume(output.count)
            return
        }
        guard sent >= 0 || sent == Int(UV_EAGAIN.rawValue) else { return close() }
        output.consume(max(0, sent))
        let buffer = output
        inFlight = buffer
        output = spare ?? OutputBuffer()
        spare = nil
        queueSizeSeen = buffer.count
        state.unsentChanged(isWaiting: true, now: now)
        let status = HTTPStreamCallbacks.write(buffer, to: stream, of: self)
        if status != 0 {
            inFlight = nil
            close()
        }
    }

    func didWrite(status: Int32) {
        guard let buffer = inFlight else { return }
        inFlight = nil
        guard stream != nil, status == 0 else { return close() }
        buffer.consume(buffer.count)
        spare = buffer
        flush()
        guard stream != nil else { return }
        if inFlight == nil { state.unsentChanged(isWaiting: false, now: now) }
        tellDrained()
        advance()
    }

    // MARK: Time

    func rearm() {
        guard stream != nil, let deadline = state.deadline else { return }
        if let armedUntil, armedUntil <= deadline { return }
        armedUntil = deadline
        let current = now
        uv_timer_start(timer, HTTPStreamCallbacks.timerFired, deadline > current ? deadline - current : 0, 0)
    }

    func timerFired() {
        armedUntil = nil
        guard let stream, let deadline = state.deadline else { return }
        // libuv runs timers before it reads. What came while the loop was busy must count, so the sockets get one turn more.
        if deadline <= now, !isLastCall {
            isLastCall = true
            armedUntil = now
            uv_timer_start(timer, HTTPStreamCallbacks.timerFired, 1, 0)
            return
        }
        isLastCall = false
        switch state.timePassed(now: now) {
        case .nothing: rearm()
        case .close: close()
        case .abort:
            let queueSize = uv_stream_get_write_queue_size(stream)
            guard queueSize < queueSizeSeen else { return close() }
            queueSizeSeen = queueSize
            state.unsentChanged(isWaiting: true, now: now)
            rearm()
        case .refuse(let refusal): refuse(refusal)
        case .failBody: failBody(.timedOut)
        }
    }
}
