/// Renders response heads (RFC 9112 §4).
enum HTTPResponseHead {
    /// How the end of the body is told.
    enum Framing: Equatable {
        case length(Int)
        case chunked
        /// The body ends with the connection (HTTP/1.0).
        case close
    }

    /// Appends the status line and the fields, without `Date`, `Connection` and the empty line.
    ///
    /// Fields that describe the framing and the connection are the server's own: the handler's are left out, except for a
    /// `Content-Length` where no body is sent that it could contradict.
    static func append(
        status: HTTPStatus, headers: HTTPHeaders, framing: Framing, keepsContentLength: Bool = false, to output: OutputBuffer
    ) {
        if status.code == 200 {
            output.append("HTTP/1.1 200 OK\r\n")
        } else {
            output.append("HTTP/1.1 ")
            output.append(number: status.code)
            output.append(" ")
            output.append(fieldText: status.reason)
            output.append("\r\n")
        }
        var hasContentLength = false
        headers.forEachField { name, value in
            switch name.utf8.count {
            case 14 where HTTPHeaders.isSame(name, "content-length"):
                guard keepsContentLength else { return }
                hasContentLength = true
            case 17 where HTTPHeaders.isSame(name, "transfer-encoding"): return
            case 10 where HTTPHeaders.isSame(name, "connection"): return
            case 4 where HTTPHeaders.isSame(name, "date"): return
            default: break
            }
            output.append(fieldText: name)
            output.append(": ")
            output.append(fieldText: value)
            output.append("\r\n")
        }
        // A status without a body has no length either (RFC 9110 §8.6); 304 may have one and need not.
        guard status.allowsBody, !hasContentLength else { return }
        switch framing {
        case .length(let count):
            output.append("Content-Length: ")
            output.append(number: count)
            output.append("\r\n")
        case .chunked: output.append("Transfer-Encoding: chunked\r\n")
        case .close: break
        }
    }

    /// Appends the fields that differ from answer to answer, and the empty line.
    static func appendEnd(date: [UInt8], keepsAlive: Bool, minorVersion: Int, to output: OutputBuffer) {
        output.append("Date: ")
        output.append(date)
        // RFC 9112 §9.3: HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 does not.
        if !keepsAlive {
            output.append("\r\nConnection: close\r\n\r\n")
        } else if minorVersion == 0 {
            output.append("\r\nConnection: keep-alive\r\n\r\n")
        } else {
            output.append("\r\n\r\n")
        }
    }

    /// Whether a handler's fields ask to close the connection.
    static func wantsClose(_ headers: HTTPHeaders) -> Bool {
        headers.count > 0 && headers["connection"].map { HTTPHeaders.isSame($0, "close") } ?? false
    }

    /// The length that a handler's fields announce.
    static func contentLength(_ headers: HTTPHeaders) -> Int? {
        headers["content-length"].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }
}
