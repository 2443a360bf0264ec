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
    private let limits: HTTPLimits
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
    private var isMessageEnded = true
    /// Where the parts of the head being read lie: room for one field more than there may be.
    private let fields: UnsafeMutablePointer<HTTPHead.Field>
    private var fieldCount = 0
    private var target = HTTPHead.Span()
    /// The address of the bytes being parsed, and the count of the head's bytes before them.
    private var chunkAddress = 0
    private var headCountBefore = 0
    private var framingBytes: Int64 = 0
    private var bodyBytes: Int64 = 0

    init(limits: HTTPLimits) {
        self.limits = limits
        fields = .allocate(capacity: limits.headerCountMax + 1)
        raw = .allocate(capacity: 1)
        llhttp_init(raw, HTTP_REQUEST, LLHTTPCallbacks.settings)
        raw.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit {
        raw.deallocate()
        fields.deallocate()
    }

    /// The body's piece, handed over.
    func takeBody() -> [UInt8] {
        defer { body = [] }
        return body
    }

    /// Parses until something is complete. Must not be called after `refused`, nor with no bytes.
    func parse(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, event: Event) {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: CChar.self) else { return (0, .more) }
        if isMessageEnded { beginMessage() }
        if !body.isEmpty { body.removeAll(keepingCapacity: true) }
        isHeadEnded = false
        headCountBefore = head.bytes.count
        chunkAddress = Int(bitPattern: start)
        let status = llhttp_execute(raw, start, bytes.count)
        if status == HPE_OK { return (bytes.count, event(bytes)) }
        let consumed = llhttp_get_error_pos(raw).map { $0 - start } ?? bytes.count
        guard status == HPE_PAUSED else { return (consumed, .refused(refusal(for: status, bytes))) }
        llhttp_resume(raw)
        return (consumed, event(UnsafeRawBufferPointer(rebasing: bytes[..<consumed])))
    }

    private func beginMessage() {
        if !isKnownUniquelyReferenced(&head) { head = HTTPHead() }
        head.clear()
        fieldCount = 0
        target = HTTPHead.Span()
        hasBody = false
        isInBody = false
        isMessageEnded = false
        framingBytes = 0
        bodyBytes = 0
    }

    /// What the bytes that llhttp has just used have brought.
    private func event(_ used: UnsafeRawBufferPointer) -> Event {
        if isInBody { return bodyEvent(used.count) }
        head.append(used)
        guard isHeadEnded else { return refusalOfSize.map { .refused($0) } ?? .more }
        isInBody = hasBody
        head.complete(
            target: target, fields: UnsafeBufferPointer(start: fields, count: fieldCount), methodNumber: raw.pointee.method,
            minorVersion: Int(raw.pointee.http_minor))
        do throws(HTTPRefusal) {
            return .head(try HTTPHeadRules(limits: limits).check(head))
        } catch {
            return .refused(error)
        }
    }

    /// Why a head that is not complete is too large already.
    private var refusalOfSize: HTTPRefusal? {
        if target.count > limits.targetBytesMax { return .targetTooLong(limits) }
        if head.bytes.count > limits.headBytesMax { return .headTooLarge(limits) }
        return fieldCount > limits.headerCountMax ? .tooManyFields(limits) : nil
    }

    private func bodyEvent(_ usedCount: Int) -> Event {
        bodyBytes += Int64(body.count)
        framingBytes += Int64(usedCount - body.count)
        // Sixteen for each byte of the body is more than chunks of a single byte need.
        if framingBytes > Int64(limits.chunkFramingBytesMax) + 16 * bodyBytes { return .refused(.chunkFramingTooLarge(limits)) }
        return isMessageEnded ? .end : .more
    }

    private func refusal(for error: llhttp_errno_t, _ bytes: UnsafeRawBufferPointer) -> HTTPRefusal {
        let reason = llhttp_get_error_reason(raw).map { String(cString: $0) } ?? ""
        switch error {
        case HPE_INVALID_METHOD where !isInBody:
            // A word in the place of the method may be a method that this server does not know (RFC 9110 §9.1).
            let first = (head.bytes + bytes).first { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
            guard let first, first.lowercased &- UInt8(ascii: "a") < 26 else { return .badRequest("The bytes are not HTTP.") }
            let words = (head.bytes + bytes).prefix(limits.targetBytesMax).split(separator: UInt8(ascii: " "), maxSplits: 2)
            let target = words.count == 3 ? String(decoding: words[1], as: UTF8.self) : nil
            return HTTPRefusal(.notImplemented, "unknown_method", "The method is not implemented (RFC 9110 §9.1).", target: target)
        case HPE_INVALID_CONSTANT where reason.hasPrefix("Invalid method for HTTP"):
            return HTTPRefusal(.notImplemented, "unknown_method", "The method is not implemented (RFC 9110 §9.1).")
        case HPE_INVALID_VERSION where reason == "Invalid HTTP version", HPE_PAUSED_H2_UPGRADE:
            return HTTPRefusal(.httpVersionNotSupported, "unsupported_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        default:
            return refusalOfSize ?? .badRequest("The request is malformed: \(reason).")
        }
    }

    // MARK: llhttp's callbacks

    /// The place within the head of bytes that llhttp points to.
    private func offset(_ at: UnsafePointer<CChar>) -> Int { headCountBefore + Int(bitPattern: at) - chunkAddress }

    fileprivate func didSeeTarget(_ at: UnsafePointer<CChar>, _ count: Int) {
        // A part that was cut by the end of the bytes goes on in the next ones.
        let start = offset(at)
        if target.count == 0 { target.start = start }
        target.count = start + count - target.start
    }

    fileprivate func didSeeName(_ at: UnsafePointer<CChar>, _ count: Int) {
        guard !isInBody else { return }  // a trailer
        let start = offset(at)
        if fieldCount > 0, fields[fieldCount - 1].name.end == start {
            fields[fieldCount - 1].name.count += count
        } else if fieldCount <= limits.headerCountMax {
            (fields + fieldCount).initialize(to: HTTPHead.Field(name: HTTPHead.Span(start: start, count: count)))
            fieldCount += 1
        }
    }

    fileprivate func didSeeValue(_ at: UnsafePointer<CChar>, _ count: Int) {
        guard !isInBody, fieldCount > 0 else { return }
        let start = offset(at)
        let field = fields + (fieldCount - 1)
        if field.pointee.value.start == 0 { field.pointee.value.start = start }
        // White space after a value is no part of it (RFC 9112 §5.1); llhttp takes off only what stands before.
        var end = at + count
        while end > at, end[-1] == 0x20 || end[-1] == 0x09 { end -= 1 }
        if end > at { field.pointee.value.count = start + (end - at) - field.pointee.value.start }
    }

    fileprivate func didEndHead() -> Int32 {
        isHeadEnded = true
        keepsAlive = llhttp_should_keep_alive(raw) != 0
        let isChunked = UInt32(raw.pointee.flags) & F_CHUNKED.rawValue != 0
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
