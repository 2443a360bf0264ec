import CLLHTTP

/// What a complete head must be beyond what llhttp checks. Every refusal names the rule it follows.
struct HTTPHeadRules {
    let limits: HTTPLimits

    /// What the rest of the server needs to know of an accepted head.
    struct Accepted {
        var target: HTTPTarget
        var expectsContinue: Bool
    }

    func check(_ head: HTTPHead, isChunked: Bool, methodNumber: UInt8) -> Result<Accepted, HTTPRefusal> {
        if let refusal = requestLine(head, methodNumber: methodNumber) ?? sizes(head) { return .failure(refusal) }
        guard !hasFoldedLine(head) else {
            return .failure(.badRequest("A header field is folded over two lines (RFC 9112 §5.2)."))
        }
        guard let target = HTTPTarget(of: head) else {
            return .failure(HTTPRefusal(.badRequest, "bad_target", "The request target is malformed (RFC 9112 §3.2)."))
        }
        var hosts = 0
        var host = HTTPHead.Span()
        var codings = 0
        var expectsContinue = false
        for field in head.fields {
            // The length tells nearly all other fields apart before any byte is compared.
            switch field.name.count {
            case 4 where head.matches(field.name, lowercase: "host"):
                hosts += 1
                host = field.value
            case 17 where head.matches(field.name, lowercase: "transfer-encoding"):
                codings += 1
                guard codings == 1, head.matches(field.value, lowercase: "chunked") else {
                    // RFC 9112 §6.1: a coding that the server does not know is answered 501.
                    return .failure(
                        HTTPRefusal(.notImplemented, "unknown_transfer_coding", "The only transfer coding understood is a single 'chunked'."))
                }
            case 6 where head.matches(field.name, lowercase: "expect"):
                guard head.matches(field.value, lowercase: "100-continue") else {
                    return .failure(
                        HTTPRefusal(.expectationFailed, "unknown_expectation", "The only expectation known is '100-continue' (RFC 9110 §10.1.1)."))
                }
                // RFC 9110 §10.1.1: an HTTP/1.0 client cannot understand the interim answer.
                expectsContinue = head.minorVersion > 0
            default: break
            }
        }
        if codings > 0 && head.minorVersion == 0 {
            return .failure(.badRequest("An HTTP/1.0 request has a Transfer-Encoding, so its framing is faulty (RFC 9112 §6.1)."))
        }
        if let refusal = checkHost(head, count: hosts, value: host, target: target) { return .failure(refusal) }
        return .success(Accepted(target: target, expectsContinue: expectsContinue))
    }

    /// RFC 9112 §3: method, target and version with single spaces between. llhttp is more tolerant and also knows RTSP.
    private func requestLine(_ head: HTTPHead, methodNumber: UInt8) -> HTTPRefusal? {
        guard Int(methodNumber) < HTTPMethod.known.count, head.method != .connect else {
            return HTTPRefusal(.notImplemented, "unknown_method", "The method is not implemented (RFC 9110 §9.1).")
        }
        let version: StaticString = " http/1.x\r\n"
        let end = head.target.end
        guard end + version.utf8CodeUnitCount <= head.bytes.count else { return .badRequest("The request line has no version (RFC 9112 §3).") }
        let isHTTP = head.bytes.withUnsafeBufferPointer { bytes in
            (0..<6).allSatisfy { bytes[end + $0].lowercased == version.utf8Start[$0] }
        }
        guard isHTTP else { return .badRequest("The request line is not 'METHOD target HTTP/1.1' (RFC 9112 §3).") }
        guard head.bytes[end + 6] == UInt8(ascii: "1") else {
            return HTTPRefusal(.httpVersionNotSupported, "unsupported_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        }
        let start = head.target.start - 1
        let methodCount = head.method.rawValue.utf8.count
        let isSpaced = head.bytes[start] == UInt8(ascii: " ") && (start == methodCount || head.bytes[start - methodCount - 1] == UInt8(ascii: "\n"))
        return isSpaced ? nil : .badRequest("The request line has more than one space between its parts (RFC 9112 §3).")
    }

    private func sizes(_ head: HTTPHead) -> HTTPRefusal? {
        if head.target.count > limits.targetBytesMax { return .targetTooLong(limits) }
        if head.bytes.count > limits.headBytesMax { return .headTooLarge(limits) }
        if head.fields.count > limits.headerCountMax { return .tooManyFields(limits) }
        return nil
    }

    /// RFC 9112 §5.2: a line of the head that begins with white space continues the one before.
    private func hasFoldedLine(_ head: HTTPHead) -> Bool {
        head.bytes.withUnsafeBufferPointer { bytes in
            for field in head.fields {
                // Within a value, llhttp lets a line end stand only as part of a folding.
                for index in field.value.range where bytes[index] == UInt8(ascii: "\n") || bytes[index] == UInt8(ascii: "\r") { return true }
                // A value that begins on the second line leaves its first one empty.
                var before = field.value.start - 1
                while before > field.name.end, bytes[before] == UInt8(ascii: " ") || bytes[before] == UInt8(ascii: "\t") { before -= 1 }
                if field.value.count > 0, bytes[before] == UInt8(ascii: "\n") { return true }
            }
            return false
        }
    }

    /// RFC 9112 §3.2: exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0.
    private func checkHost(_ head: HTTPHead, count: Int, value: HTTPHead.Span, target: HTTPTarget) -> HTTPRefusal? {
        guard count > 0 else {
            return head.minorVersion == 0 ? nil : HTTPRefusal(.badRequest, "missing_host", "The Host field is missing (RFC 9112 §3.2).")
        }
        guard count == 1 else { return .badRequest("There is more than one Host field (RFC 9112 §3.2).") }
        let isValid = head.bytes[value.range].allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "%"): true
            case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): true
            default: false
            }
        }
        guard isValid else { return .badRequest("The Host field is not a host with an optional port (RFC 9112 §3.2).") }
        // RFC 9112 §3.2.2 lets an absolute target prevail over Host; where they differ one of them is a lie, so neither is taken.
        guard let authority = target.authority else { return nil }
        let isSame = authority.count == value.count
            && zip(authority.range, value.range).allSatisfy { head.bytes[$0].lowercased == head.bytes[$1].lowercased }
        return isSame ? nil : .badRequest("The Host field differs from the host of the request target (RFC 9112 §3.2.2).")
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
        HTTPRefusal(.badRequest, "chunk_framing_too_large", "Chunk extensions and trailers take more than \(limits.chunkFramingBytesMax) bytes.")
    }
}
