import Testing

@testable import HTTPServer

/// Literal requests and the start of what must come back.
@Suite(.timeLimit(.minutes(1)))
struct RequestCorpusTests {
    struct Refused: Sendable, CustomTestStringConvertible {
        var name: String
        var request: String
        var status: Int
        var code: String
        var testDescription: String { name }
    }

    private static func bad(_ name: String, _ request: String, _ status: Int = 400, _ code: String = "bad_request") -> Refused {
        Refused(name: name, request: request, status: status, code: code)
    }

    static let refused: [Refused] = [
        // Request lines (RFC 9112 §3)
        bad("no version (HTTP/0.9)", "GET /\r\n\r\n"),
        bad("two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("space within the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        bad("TLS hello", "\u{16}\u{03}\u{01}\u{02}\u{00}\u{01}\u{00}\u{01}"),
        bad("bare line feeds", "GET / HTTP/1.1\nHost: a\n\n"),
        bad("RTSP", "GET / RTSP/1.0\r\nHost: a\r\n\r\n"),
        bad("unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "unknown_method"),
        bad("method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "unknown_method"),
        bad("CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501, "unknown_method"),
        bad("RTSP method", "PLAY / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "unknown_method"),
        bad("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "unsupported_version"),
        bad("HTTP/3.0", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "unsupported_version"),
        bad("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported_version"),
        // Targets (RFC 9112 §3.2)
        bad("fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("half a percent code", "GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("percent code of no digits", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("NUL in the path", "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("path that is not UTF-8", "GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("query that is not UTF-8", "GET /?a=%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("absolute target of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target"),
        bad("absolute target with another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        // Host (RFC 9112 §3.2)
        bad("no Host", "GET / HTTP/1.1\r\n\r\n", 400, "missing_host"),
        bad("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        bad("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
        bad("a list as Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        bad("a Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        // Fields (RFC 9112 §5)
        bad("space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        bad("folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
        bad("folded field with an empty first line", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n"),
        bad("line feed alone in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n"),
        bad("carriage return alone in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n"),
        bad("NUL in a field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n"),
        bad("field without a name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
        bad("field without a colon", "GET / HTTP/1.1\r\nHost: a\r\nFoo\r\n\r\n"),
        bad("space in the first field's place", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        // Lengths (RFC 9112 §6)
        bad("two equal Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        bad("two Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        bad("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"),
        bad("a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc"),
        bad("a length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"),
        bad("a hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc"),
        bad("an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"),
        bad("a length past 64 bits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\na"),
        // Both framings: the classic of request smuggling (RFC 9112 §6.1, §11.2)
        bad("CL.TE", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
        bad("TE.CL", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nZ\r\n0\r\n\r\n"),
        bad("TE.TE", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        bad(
            "chunked twice",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        bad("a coding after chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        bad(
            "a coding before chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501,
            "unknown_transfer_coding"),
        bad("an unknown coding alone", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
        bad("a coding like chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        bad("a space before the colon of the coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        bad("chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        bad(
            "an unknown expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417,
            "unknown_expectation"),
        // Chunks (RFC 9112 §7.1)
        chunks("no hexadecimal size", "x\r\na\r\n0\r\n\r\n"),
        chunks("a negative size", "-1\r\na\r\n0\r\n\r\n"),
        chunks("a size with a prefix", "0x1\r\na\r\n0\r\n\r\n"),
        chunks("a size past 64 bits", "10000000000000001\r\na\r\n0\r\n\r\n"),
        chunks("a space after the size", "1 \r\na\r\n0\r\n\r\n"),
        chunks("a line feed alone after the size", "1\na\r\n0\r\n\r\n"),
        chunks("a carriage return alone after the size", "1\ra\r\n0\r\n\r\n"),
        chunks("a line feed alone after the bytes", "1\r\na\n0\r\n\r\n"),
        chunks("more bytes than the size says", "1\r\nab\r\n0\r\n\r\n"),
        chunks("a line feed in an extension", "1;a=\"\n\"\r\na\r\n0\r\n\r\n"),
        chunks("a carriage return alone in a trailer", "0\r\nA: b\rB: c\r\n\r\n"),
    ]

    private static func chunks(_ name: String, _ body: String) -> Refused {
        bad(name, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    }

    @Test(arguments: refused)
    func isRefusedWithAProblemAndTheConnectionIsClosed(_ refused: Refused) async throws {
        try await ServerFixture.with(handler: ServerFixture.echo) { fixture in
            // Bytes after the bad request must not be taken for another one.
            let answer = try await fixture.exchange(refused.request + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(refused.status) "), "\(answer)")
            #expect(answer.contains("Content-Type: application/problem+json\r\n"), "\(answer)")
            #expect(answer.contains("Connection: close\r\n"), "\(answer)")
            #expect(answer.contains("\"status\":\(refused.status)"), "\(answer)")
            #expect(answer.hasSuffix("\"code\":\"\(refused.code)\"}"), "\(answer)")
            #expect(answer.components(of: "Content-Length: ") == 1, "\(answer)")
        }
    }

    struct Accepted: Sendable, CustomTestStringConvertible {
        var name: String
        var request: String
        var bodies: [String]
        var testDescription: String { name }
    }

    static let accepted: [Accepted] = [
        Accepted(name: "a GET", request: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", bodies: ["GET / [] "]),
        Accepted(name: "an empty Host", request: "GET / HTTP/1.1\r\nHost:\r\n\r\n", bodies: ["GET / [] "]),
        Accepted(name: "an IPv6 Host", request: "GET / HTTP/1.1\r\nHost: [::1]:7600\r\n\r\n", bodies: ["GET / [] "]),
        Accepted(name: "empty lines before the request", request: "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", bodies: ["GET / [] "]),
        Accepted(
            name: "an encoded path and query", request: "GET /a%20b%2Fc/%C3%A9?x=1+2&y=%26&z&=w HTTP/1.1\r\nHost: a\r\n\r\n",
            bodies: ["GET /a b%2Fc/é [x=1 2,y=&,z=,=w] "]),
        Accepted(name: "an absolute target", request: "GET http://A:80/x?y=z HTTP/1.1\r\nHost: a:80\r\n\r\n", bodies: ["GET /x [y=z] "]),
        Accepted(name: "an absolute target without a path", request: "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", bodies: ["GET / [] "]),
        Accepted(name: "an asterisk", request: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", bodies: ["OPTIONS * [] "]),
        Accepted(
            name: "a body with a length", request: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", bodies: ["POST / [] abc"]),
        Accepted(
            name: "a chunked body with extensions and trailers",
            request:
                "PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
            bodies: ["PUT / [] abc0123456789"]),
        Accepted(
            name: "white space around a value",
            request: "POST / HTTP/1.1\r\nHost: \t a \t \r\nContent-Length: 1\r\n\r\nx",
            bodies: ["POST / [] x"]),
        Accepted(
            name: "an upgrade that is not known", request: "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
            bodies: ["GET / [] "]),
        Accepted(name: "HTTP/1.0 without Host", request: "GET / HTTP/1.0\r\n\r\n", bodies: ["GET / [] "]),
        Accepted(
            name: "pipelined requests",
            request: "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy"
                + "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
            bodies: ["GET /1 [] ", "POST /2 [] xy", "GET /3 [] "]),
        Accepted(
            name: "nothing after a close",
            request: "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", bodies: ["GET /1 [] "]),
    ]

    @Test(arguments: accepted)
    func isAnswered(_ accepted: Accepted) async throws {
        try await ServerFixture.with(handler: ServerFixture.echo) { fixture in
            let answer = try await fixture.exchange(accepted.request)
            #expect(answer.components(of: "HTTP/1.1 200 OK\r\n") == accepted.bodies.count, "\(answer)")
            for body in accepted.bodies { #expect(answer.contains("\r\n\r\n\(body)"), "\(answer)") }
        }
    }

    @Test(arguments: accepted)
    func isAnsweredTheSameWhereverItIsCut(_ accepted: Accepted) {
        let whole = Self.parse([Array(accepted.request.utf8)])
        let bytes = Array(accepted.request.utf8)
        for cut in 1..<bytes.count {
            #expect(Self.parse([Array(bytes[..<cut]), Array(bytes[cut...])]) == whole, "cut at \(cut)")
        }
        #expect(Self.parse(bytes.map { [$0] }) == whole)
    }

    @Test(arguments: refused)
    func isRefusedTheSameByteByByte(_ refused: Refused) {
        let last = Self.parse(refused.request.utf8.map { [$0] }).last
        #expect(last?.hasPrefix("refused \(refused.status) \(refused.code)") == true, "\(last ?? "nothing")")
    }

    /// What the parser makes of bytes that come in pieces.
    private static func parse(_ pieces: [[UInt8]]) -> [String] {
        let parser = HTTPRequestParser(limits: .standard)
        var seen: [String] = []
        var body: [UInt8] = []
        for piece in pieces {
            var rest = piece[...]
            while !rest.isEmpty {
                let (consumed, event) = rest.withUnsafeBytes { parser.parse($0) }
                rest = rest.dropFirst(consumed)
                body += parser.takeBody()
                switch event {
                case .more: break
                case .head:
                    let fields = HTTPHeaders(head: parser.head).map { "\($0.name)=\($0.value)" }
                    seen.append("\(parser.head.method) \(parser.head.text(parser.head.target)) \(fields) \(parser.keepsAlive)")
                case .end:
                    seen.append(String(decoding: body, as: UTF8.self))
                    body = []
                case .refused(let refusal):
                    seen.append("refused \(refusal.status.code) \(refusal.code)")
                    return seen
                }
            }
        }
        return seen
    }
}

extension String {
    /// How often a text occurs.
    func components(of text: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
