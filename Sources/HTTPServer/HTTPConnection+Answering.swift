import EventLoop

/// What an exchange and its writer ask of the connection.
extension HTTPConnection {
    func wantBody() {
        if state.bodyWanted(now: now) { output.append("HTTP/1.1 100 Continue\r\n\r\n") }
        advance()
    }

    func pauseBody() {
        state.bodyPaused()
        if !isConsuming { updateReading() }
    }

    func resumeBody() {
        state.bodyResumed(now: now)
        advance()
    }

    /// The body cannot come whole: tells its consumer, and then the client.
    func failBody(_ error: HTTPBodyError) {
        guard let exchange else { return close() }
        state.bodyFailed()
        exchange.finishBody(error)
        guard stream != nil, self.exchange === exchange else { return }
        guard state.answer == .pending, let refusal = error.refusal else { return close() }
        exchange.detach()
        self.exchange = nil
        refuse(refusal)
    }

    /// Answers with a problem of the server's own and ends the connection.
    func refuse(_ refusal: HTTPRefusal) {
        state.refused()
        var refusal = refusal
        var headers: HTTPHeaders = ["Content-Type": "application/problem+json"]
        // RFC 9110 §15.5.6: where the resource is known, a 405 with its methods says more than a 501.
        if let methods = refusal.target.flatMap({ server.handler.allowedMethods(at: $0) }) {
            refusal = HTTPRefusal(.methodNotAllowed, "method_not_allowed", "This resource has no such method.")
            headers["Allow"] = methods.joined(separator: ", ")
        }
        let body = refusal.problem
        HTTPResponseHead.append(status: refusal.status, headers: headers, framing: .length(body.count), to: output)
        endHead(keepsAlive: false, minorVersion: 1)
        if !parser.head.isHeadMethod { output.append(body) }
        closing = .lingering
        advance()
    }

    func respond(_ exchange: HTTPExchange, _ status: HTTPStatus, headers: HTTPHeaders, body: [UInt8]) {
        let keepsAlive = state.answerBegan(isStreamed: false, wantsClose: HTTPResponseHead.wantsClose(headers))
        let isHead = exchange.request.head.isHeadMethod
        HTTPResponseHead.append(status: status, headers: headers, framing: .length(body.count), keepsContentLength: isHead, to: output)
        endHead(keepsAlive: keepsAlive, minorVersion: exchange.request.minorVersion)
        if !isHead, status.allowsBody { output.append(body) }
        endAnswer()
    }

    func respond(_ exchange: HTTPExchange, _ response: HTTPPreparedResponse) {
        let keepsAlive = state.answerBegan(isStreamed: false, wantsClose: response.wantsClose)
        output.append(response.head)
        endHead(keepsAlive: keepsAlive, minorVersion: exchange.request.minorVersion)
        if !exchange.request.head.isHeadMethod, response.status.allowsBody { output.append(response.body) }
        endAnswer()
    }

    private func endHead(keepsAlive: Bool, minorVersion: Int) {
        HTTPResponseHead.appendEnd(date: server.date.bytes(), keepsAlive: keepsAlive, minorVersion: minorVersion, to: output)
    }

    func startStreaming(_ exchange: HTTPExchange, _ status: HTTPStatus, headers: HTTPHeaders) -> HTTPBodyWriter {
        let framing: HTTPResponseHead.Framing
        if let length = HTTPResponseHead.contentLength(headers) {
            framing = .length(length)
        } else {
            framing = exchange.request.minorVersion == 0 ? .close : .chunked
        }
        let isSuppressed = exchange.request.head.isHeadMethod || !status.allowsBody
        let wantsClose = HTTPResponseHead.wantsClose(headers) || (framing == .close && !isSuppressed)
        let keepsAlive = state.answerBegan(isStreamed: true, wantsClose: wantsClose)
        HTTPResponseHead.append(status: status, headers: headers, framing: framing, to: output)
        endHead(keepsAlive: keepsAlive, minorVersion: exchange.request.minorVersion)
        let writer = HTTPBodyWriter(exchange: exchange, framing: framing, isSuppressed: isSuppressed)
        self.writer = writer
        advance()
        owesDrain = unsentCount > 0
        return writer
    }

    /// A piece of a streamed answer has been added to the output.
    func streamed() {
        // Within a handler that is just being called, the flush comes at its end, unless too much gathers before.
        if !isConsuming || unsentCount > server.limits.writeBufferBytesMax { flush() }
        if unsentCount > server.limits.writeBufferBytesMax { return close() }
        owesDrain = unsentCount > 0
        if !isConsuming { rearm() }
    }

    func tellDrained() {
        guard owesDrain, unsentCount == 0 else { return }
        owesDrain = false
        writer?.onDrain?()
    }

    /// The answer has ended: the exchange is over.
    func endAnswer() {
        writer = nil
        owesDrain = false
        exchange?.detach()
        exchange = nil
        switch state.answerEnded(hasPendingBytes: unparsedCount > 0 || !pending.isEmpty, now: now) {
        case .next: break
        case .close(let lingering): closing = lingering ? .lingering : .atOnce
        }
        advance()
    }
}
