import CLLHTTP

/// What a complete head must be beyond what llhttp checks. Every refusal names the rule it follows.
struct HTTPHeadRules {
    /// What the rest of the server needs to know of an accepted head.
    struct Accepted {
        var target: HTTPTarget
        var expectsContinue: Bool
    }

    private typealias Bytes = UnsafeBufferPointer<UInt8>

    let limits: HTTPLimits

    func check(_ head: HTTPHead) throws(HTTPRefusal) -> Accepted {
        try checkSizes(head)
        // A typed error does not pass through the closure, so the result does.
        let result: Result<Accepted, HTTPRefusal> = head.bytes.withUnsafeBufferPointer { bytes in
            do throws(HTTPRefusal) { return .success(try check(head, bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private func check(_ head: HTTPHead, _ bytes: Bytes) throws(HTTPRefusal) -> Accepted {
        try checkRequestLine(head, bytes)
        guard let target = HTTPTarget(of: head.target, in: bytes, isOptions: head.methodNumber == UInt8(HTTP_OPTIONS.rawValue)) else {
            throw HTTPRefusal(.badRequest, "bad_target", "The request target is malformed (RFC 9112 §3.2).")
        }
        var hosts = 0
        var host = HTTPHead.Span()
        var codings = 0
        var expectsContinue = false
        for field in head.fields {
            guard field.name.count > 0 else { throw .badRequest("A header field has no name (RFC 9112 §5).") }
            guard !isFolded(field, bytes) else { throw .badRequest("A header field is folded over two lines (RFC 9112 §5.2).") }
            // The length tells nearly all other fields apart before any byte is compared.
            switch field.name.count {
            case 4 where bytes.matches(field.name, lowercase: "host"):
                hosts += 1
                host = field.value
            case 17 where bytes.matches(field.name, lowercase: "transfer-encoding"):
                codings += 1
                guard codings == 1, bytes.matches(field.value, lowercase: "chunked") else {
                    // RFC 9112 §6.1: a coding that the server does not know is answered 501.
                    throw HTTPRefusal(
                        .notImplemented, "unknown_transfer_coding", "The only transfer coding understood is a single 'chunked'.")
                }
            case 6 where bytes.matches(field.name, lowercase: "expect"):
                guard bytes.matches(field.value, lowercase: "100-continue") else {
                    throw HTTPRefusal(
                        .expectationFailed, "unknown_expectation", "The only expectation known is '100-continue' (RFC 9110 §10.1.1).")
                }
                // RFC 9110 §10.1.1: an HTTP/1.0 client cannot understand the interim answer.
                expectsContinue = head.minorVersion > 0
            default: break
            }
        }
        if codings > 0 && head.minorVersion == 0 {
            throw .badRequest("An HTTP/1.0 request has a Transfer-Encoding, so its framing is faulty (RFC 9112 §6.1).")
        }
        try checkHost(head, bytes, count: hosts, value: host, authority: target.authority)
        return Accepted(target: target, expectsContinue: expectsContinue)
    }

    private func checkSizes(_ head: HTTPHead) throws(HTTPRefusal) {
        if head.target.count > limits.targetBytesMax { throw .targetTooLong(limits) }
        if head.bytes.count > limits.headBytesMax { throw .headTooLarge(limits) }
        if head.fields.count > limits.headerCountMax { throw .tooManyFields(limits) }
    }

    /// RFC 9112 §3: method, target and version with single spaces between. llhttp is more tolerant and also knows RTSP.
    private func checkRequestLine(_ head: HTTPHead, _ bytes: Bytes) throws(HTTPRefusal) {
        let number = Int(head.methodNumber)
        guard number < HTTPMethod.known.count, number != Int(HTTP_CONNECT.rawValue) else {
            throw HTTPRefusal(.notImplemented, "unknown_method", "The method is not implemented (RFC 9110 §9.1).")
        }
        let end = head.target.end
        guard end + 8 < bytes.count, bytes.matches(HTTPHead.Span(start: end, count: 6), lowercase: " http/") else {
            throw .badRequest("The request line is not 'METHOD target HTTP/1.1' (RFC 9112 §3).")
        }
        guard bytes[end + 6] == UInt8(ascii: "1") else {
            throw HTTPRefusal(.httpVersionNotSupported, "unsupported_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        }
        // One space before the target, and before that nothing but the method.
        let space = head.target.start - 1
        let start = space - HTTPMethod.known[number].rawValue.utf8.count
        guard start >= 0, bytes[space] == UInt8(ascii: " "), start == 0 || bytes[start - 1] == UInt8(ascii: "\n") else {
            throw .badRequest("The request line has more than one space between its parts (RFC 9112 §3).")
        }
    }

    /// RFC 9112 §5.2: a line of the head that begins with white space continues the one before.
    private func isFolded(_ field: HTTPHead.Field, _ bytes: Bytes) -> Bool {
        // Within a value, llhttp lets a line end stand only as part of a folding.
        if bytes.firstIndex(in: field.value.range, of: UInt8(ascii: "\n"), or: UInt8(ascii: "\r")) != nil { return true }
        // A value that begins on the second line leaves its first one empty.
        guard field.value.count > 0 else { return false }
        return bytes.firstIndex(in: field.name.end..<field.value.start, of: UInt8(ascii: "\n"), or: UInt8(ascii: "\r")) != nil
    }

    /// RFC 9112 §3.2: exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0.
    private func checkHost(
        _ head: HTTPHead, _ bytes: Bytes, count: Int, value: HTTPHead.Span, authority: HTTPHead.Span?
    ) throws(HTTPRefusal) {
        guard count > 0 else {
            if head.minorVersion == 0 { return }
            throw HTTPRefusal(.badRequest, "missing_host", "The Host field is missing (RFC 9112 §3.2).")
        }
        guard count == 1 else { throw .badRequest("There is more than one Host field (RFC 9112 §3.2).") }
        for index in value.range where !Self.isHostByte(bytes[index]) {
            throw .badRequest("The Host field is not a host with an optional port (RFC 9112 §3.2).")
        }
        // RFC 9112 §3.2.2 lets an absolute target prevail over Host; where they differ one of them is a lie, so neither is taken.
        guard let authority else { return }
        guard bytes.isName(authority, Bytes(rebasing: bytes[value.range])) else {
            throw .badRequest("The Host field differs from the host of the request target (RFC 9112 §3.2.2).")
        }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "%"): true
        case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): true
        default: false
        }
    }
}

extension HTTPRefusal {
    static func targetTooLong(_ limits: HTTPLimits) -> HTTPRefusal {
        HTTPRefusal(.uriTooLong, "target_too_long", "The request target has more than \(limits.targetBytesMax) bytes.")
    }

    static func headTooLarge(_ limits: HTTPLimits) -> HTTPRefusal {
        HTTPRefusal(.requestHeaderFieldsTooLarge, "head_too_large", "The request's head has more than \(limits.headBytesMax) bytes.")
    }

    static func tooManyFields(_ limits: HTTPLimits) -> HTTPRefusal {
        HTTPRefusal(.requestHeaderFieldsTooLarge, "too_many_fields", "The request has more than \(limits.headerCountMax) header fields.")
    }

    static func chunkFramingTooLarge(_ limits: HTTPLimits) -> HTTPRefusal {
        HTTPRefusal(
            .badRequest, "chunk_framing_too_large", "Chunk extensions and trailers take more than \(limits.chunkFramingBytesMax) bytes.")
    }
}
