import CLLHTTP

/// Feeds bytes to llhttp and says what they brought: the end of a head, pieces of a body, the end of a message.
///
/// It does no I/O, and calls nobody: llhttp's callbacks only record, and `parse` returns at the end of each head that a
/// body follows, and of each message. So whoever handles a request may do anything, even close the connection.
final class HTTPRequestParser {
    enum Event {
        /// All bytes are used and the message goes on. `body` holds what they brought of a body.
        case more
        /// A head is complete; where `hasBody` is false the message is, too.
        case head(HTTPHeadRules.Accepted)
        /// The body is complete; `body` holds its last piece.
        case end
        /// The bytes are not a request that this server takes. Nothing can be parsed after that.
        case refused(HTTPRefusal)
    }

    private let raw: UnsafeMutablePointer<llhttp_t>
    private let rules: HTTPHeadRules
    /// The head being read, or the last one read.
    private(set) var head = HTTPHead()
    /// The piece of a body that the last call brought.
    private(set) var body: [UInt8] = []
    private(set) var hasBody = false
    /// What `Content-Length` announced; none for a chunked body.
    private(set) var contentLength: Int64?
    /// Whether the client's version and `Connection` field let the connection go on (RFC 9112 §9.3).
    private(set) var keepsAlive = false

    private var isInBody = false
    private var isHeadEnded = false
    private var isMessageEnded = false
    /// The start of the bytes being parsed, and the bytes of the head before them.
    private var chunk: UnsafePointer<CChar>?
    private var headCountBefore = 0
    private var framingBytes: Int64 = 0
    private var bodyBytes: Int64 = 0

    init(limits: HTTPLimits) {
        rules = HTTPHeadRules(limits: limits)
        raw = .allocate(capacity: 1)
        llhttp_init(raw, HTTP_REQUEST, LLHTTPCallbacks.settings)
        raw.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit { raw.deallocate() }

    /// The body's piece, handed over.
    func takeBody() -> [UInt8] {
        defer { body = [] }
        return body
    }

    /// Parses until something is complete. Must not be called after `refused`, nor with no bytes.
    func parse(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, event: Event) {
        if isMessageEnded || head.bytes.isEmpty { beginMessage() }
        body.removeAll(keepingCapacity: true)
        isHeadEnded = false
        headCountBefore = head.bytes.count
        let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        chunk = start
        let status = llhttp_execute(raw, start, bytes.count)
        var consumed = bytes.count
        if status != HPE_OK, let start, let stop = llhttp_get_error_pos(raw) { consumed = stop - start }
        if status == HPE_PAUSED { llhttp_resume(raw) }
        let isPausedOrFine = status == HPE_OK || status == HPE_PAUSED
        if isInBody { return (consumed, bodyEvent(consumed: consumed, failure: isPausedOrFine ? nil : status)) }
        // At an error, the byte that is wrong belongs to what came.
        head.bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<(isPausedOrFine ? consumed : min(consumed + 1, bytes.count))]))
        return (consumed, headEvent(failure: isPausedOrFine ? nil : status))
    }

    private func beginMessage() {
        if !isKnownUniquelyReferenced(&head) { head = HTTPHead() }
        head.clear()
        hasBody = false
        contentLength = nil
        isInBody = false
        isMessageEnded = false
        framingBytes = 0
        bodyBytes = 0
    }

    private func headEvent(failure: llhttp_errno_t?) -> Event {
        if let failure { return .refused(refusal(for: failure)) }
        guard isHeadEnded else {
            if head.target.count > rules.limits.targetBytesMax { return .refused(.targetTooLong(rules.limits)) }
            if head.bytes.count > rules.limits.headBytesMax { return .refused(.headTooLarge(rules.limits)) }
            if head.fields.count > rules.limits.headerCountMax { return .refused(.tooManyFields(rules.limits)) }
            return .more
        }
        isInBody = hasBody
        trimValues()
        switch rules.check(head, isChunked: hasBody && contentLength == nil, methodNumber: raw.pointee.method) {
        case .success(let accepted): return .head(accepted)
        case .failure(let refusal): return .refused(refusal)
        }
    }

    private func bodyEvent(consumed: Int, failure: llhttp_errno_t?) -> Event {
        bodyBytes += Int64(body.count)
        framingBytes += Int64(consumed - body.count)
        if let failure { return .refused(refusal(for: failure)) }
        // Sixteen for each byte of the body is more than chunks of a single byte need.
        if framingBytes > Int64(rules.limits.chunkFramingBytesMax) + 16 * bodyBytes {
            return .refused(.chunkFramingTooLarge(rules.limits))
        }
        return isMessageEnded ? .end : .more
    }

    /// White space after a value is no part of it (RFC 9112 §5.1); llhttp takes off only what stands before.
    private func trimValues() {
        head.bytes.withUnsafeBufferPointer { bytes in
            for index in head.fields.indices {
                var value = head.fields[index].value
                while value.count > 0, bytes[value.end - 1] == UInt8(ascii: " ") || bytes[value.end - 1] == UInt8(ascii: "\t") { value.count -= 1 }
                head.fields[index].value = value
            }
        }
    }

    private func refusal(for error: llhttp_errno_t) -> HTTPRefusal {
        let reason = llhttp_get_error_reason(raw).map { String(cString: $0) } ?? ""
        switch error {
        case HPE_INVALID_METHOD where !isInBody:
            // A word in the place of the method may be a method that this server does not know (RFC 9110 §9.1).
            let first = head.bytes.first { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
            guard let first, first.lowercased &- UInt8(ascii: "a") < 26 else { return .badRequest("The bytes are not HTTP.") }
            return HTTPRefusal(.notImplemented, "unknown_method", "The method is not implemented (RFC 9110 §9.1).")
        case HPE_INVALID_VERSION where reason == "Invalid HTTP version", HPE_PAUSED_H2_UPGRADE:
            return HTTPRefusal(.httpVersionNotSupported, "unsupported_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        default:
            if head.target.count > rules.limits.targetBytesMax { return .targetTooLong(rules.limits) }
            return .badRequest("The request is malformed: \(reason).")
        }
    }

    // MARK: llhttp's callbacks

    private func offset(_ at: UnsafePointer<CChar>) -> Int {
        guard let chunk else { return headCountBefore }
        return headCountBefore + (at - chunk)
    }

    fileprivate func didSeeTarget(_ at: UnsafePointer<CChar>, _ count: Int) {
        // A part that was cut by the end of the bytes goes on in the next ones.
        if head.target.count == 0 { head.target.start = offset(at) }
        head.target.count = offset(at) + count - head.target.start
    }

    fileprivate func didSeeName(_ at: UnsafePointer<CChar>, _ count: Int) {
        guard !isInBody else { return }  // a trailer
        let start = offset(at)
        if let last = head.fields.last, last.name.end == start {
            head.fields[head.fields.count - 1].name.count += count
        } else if head.fields.count <= rules.limits.headerCountMax {
            head.fields.append(HTTPHead.Field(name: HTTPHead.Span(start: start, count: count)))
        }
    }

    fileprivate func didSeeValue(_ at: UnsafePointer<CChar>, _ count: Int) {
        guard !isInBody, let last = head.fields.indices.last else { return }
        let start = offset(at)
        if head.fields[last].value.start == 0 { head.fields[last].value.start = start }
        head.fields[last].value.count = start + count - head.fields[last].value.start
    }

    fileprivate func didEndHead() -> Int32 {
        isHeadEnded = true
        head.method = Int(raw.pointee.method) < HTTPMethod.known.count ? HTTPMethod.known[Int(raw.pointee.method)] : .options
        head.minorVersion = Int(raw.pointee.http_minor)
        keepsAlive = llhttp_should_keep_alive(raw) != 0
        let flags = UInt32(raw.pointee.flags)
        let isChunked = flags & F_CHUNKED.rawValue != 0
        hasBody = isChunked || raw.pointee.content_length > 0
        contentLength = isChunked ? nil : Int64(clamping: raw.pointee.content_length)
        // No protocol to upgrade to: the request is answered as if it had not asked (RFC 9110 §7.8).
        raw.pointee.upgrade = 0
        return hasBody ? Int32(HPE_PAUSED.rawValue) : 0
    }

    fileprivate func didSeeBody(_ at: UnsafePointer<CChar>, _ count: Int) {
        body.append(contentsOf: UnsafeRawBufferPointer(start: at, count: count))
    }

    fileprivate func didEndMessage() -> Int32 {
        isMessageEnded = true
        return Int32(HPE_PAUSED.rawValue)
    }
}

/// The C side of the parser: functions that find the Swift object again.
private enum LLHTTPCallbacks {
    /// One table for all parsers. Safe although unchecked: never written to after this.
    nonisolated(unsafe) static let settings: UnsafeMutablePointer<llhttp_settings_t> = {
        let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
        llhttp_settings_init(settings)
        settings.pointee.on_url = { raw, at, count in record(raw, at) { $0.didSeeTarget($1, count) } }
        settings.pointee.on_header_field = { raw, at, count in record(raw, at) { $0.didSeeName($1, count) } }
        settings.pointee.on_header_value = { raw, at, count in record(raw, at) { $0.didSeeValue($1, count) } }
        settings.pointee.on_body = { raw, at, count in record(raw, at) { $0.didSeeBody($1, count) } }
        settings.pointee.on_headers_complete = { raw in parser(raw)?.didEndHead() ?? -1 }
        settings.pointee.on_message_complete = { raw in parser(raw)?.didEndMessage() ?? -1 }
        return settings
    }()

    @inline(__always)
    private static func parser(_ raw: UnsafeMutablePointer<llhttp_t>?) -> HTTPRequestParser? {
        guard let data = raw?.pointee.data else { return nil }
        return Unmanaged<HTTPRequestParser>.fromOpaque(data).takeUnretainedValue()
    }

    @inline(__always)
    private static func record(
        _ raw: UnsafeMutablePointer<llhttp_t>?, _ at: UnsafePointer<CChar>?, _ body: (HTTPRequestParser, UnsafePointer<CChar>) -> Void
    ) -> Int32 {
        guard let parser = parser(raw), let at else { return -1 }
        body(parser, at)
        return 0
    }
}
