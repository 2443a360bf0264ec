/// A response whose head is rendered once and sent many times, for bodies that many clients poll.
///
/// What differs from answer to answer (`Date`, `Connection`) is added when it is sent.
public struct HTTPPreparedResponse: Sendable {
    public let status: HTTPStatus
    public let body: [UInt8]
    /// The status line and fields, without the empty line.
    let head: [UInt8]
    let wantsClose: Bool

    public init(_ status: HTTPStatus, headers: HTTPHeaders = [:], body: [UInt8] = []) {
        self.status = status
        self.body = body
        let output = OutputBuffer()
        HTTPResponseHead.append(status: status, headers: headers, framing: .length(body.count), to: output)
        head = Array(output.unsent)
        wantsClose = HTTPResponseHead.wantsClose(headers)
    }
}
