import EventLoop
import Synchronization
import Testing

@testable import HTTPServer

@Suite(.timeLimit(.minutes(1)))
struct ExchangeTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    /// Serves one request text with one handler and returns all that comes back.
    private static func answer(_ request: String, _ handler: @escaping @LoopActor @Sendable (HTTPExchange) -> Void) async throws -> String {
        try await ServerFixture.with(handler: handler) { try await $0.exchange(request) }
    }

    @Test func aResponseHasItsFieldsAndLength() async throws {
        let answer = try await Self.answer(Self.get) {
            $0.respond(.created, headers: ["Content-Type": "text/plain", "Location": "/x"], body: Array("hello".utf8))
        }
        #expect(answer == "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nLocation: /x\r\nContent-Length: 5\r\n\r\nhello")
    }

    @Test func aResponseHasADate() async throws {
        try await ServerFixture.with(handler: { $0.respond(.ok) }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            client.endSending()
            let answer = String(decoding: try await client.receiveBytes(), as: UTF8.self)
            let pattern = /Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/
            #expect(answer.firstMatch(of: pattern) != nil, "\(answer)")
        }
    }

    @Test func datesAreThoseOfTheRFC() {
        #expect(HTTPDate.text(second: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.text(second: 951_782_400) == "Tue, 29 Feb 2000 00:00:00 GMT")
    }

    @Test func theFramingIsTheServersOwn() async throws {
        let answer = try await Self.answer(Self.get) {
            $0.respond(.ok, headers: ["Content-Length": "99", "Transfer-Encoding": "chunked", "Date": "never"], body: [120])
        }
        #expect(answer == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
    }

    @Test func aLineEndInAFieldCannotBeginAnother() async throws {
        let answer = try await Self.answer(Self.get) { $0.respond(.ok, headers: ["X": "a\r\nSet-Cookie: b"]) }
        #expect(answer == "HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b\r\nContent-Length: 0\r\n\r\n")
    }

    @Test func anAnswerToHeadHasNoBody() async throws {
        let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
        let answer = try await Self.answer(head + head) { $0.respond(.ok, body: Array("hello".utf8)) }
        #expect(answer == String(repeating: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", count: 2))
        let announced = try await Self.answer(head) { $0.respond(.ok, headers: ["Content-Length": "1000000"]) }
        #expect(announced == "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    }

    @Test func noContentHasNeitherBodyNorLength() async throws {
        let answer = try await Self.answer(Self.get + Self.get) { $0.respond(.noContent, body: [120]) }
        #expect(answer == String(repeating: "HTTP/1.1 204 No Content\r\n\r\n", count: 2))
    }

    @Test func anHTTP10ClientKeepsTheConnectionOnlyOnRequest() async throws {
        let once = try await Self.answer("GET / HTTP/1.0\r\n\r\n") { $0.respond(.ok) }
        #expect(once == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        let kept = try await Self.answer("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") { $0.respond(.ok) }
        #expect(kept == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
    }

    @Test func aHandlerCanCloseTheConnection() async throws {
        let answer = try await Self.answer(Self.get + Self.get) { $0.respond(.ok, headers: ["Connection": "close"]) }
        #expect(answer == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    @Test func aPreparedResponseIsLikeAnyOther() async throws {
        let prepared = HTTPPreparedResponse(.ok, headers: ["Content-Type": "application/json"], body: Array("{}".utf8))
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        #expect(try await Self.answer(Self.get) { $0.respond(prepared: prepared) } == head + "\r\n{}")
        #expect(try await Self.answer("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n") { $0.respond(prepared: prepared) } == head + "\r\n")
        #expect(try await Self.answer("GET / HTTP/1.0\r\n\r\n") { $0.respond(prepared: prepared) } == head + "Connection: close\r\n\r\n{}")
    }

    @Test func aSecondAnswerDoesNothing() async throws {
        let answer = try await Self.answer(Self.get) { exchange in
            exchange.respond(.ok)
            exchange.respond(.notFound)
            let writer = exchange.startStreaming(.ok)
            writer.write([120])
            writer.finish()
            #expect(exchange.isAnswered && writer.isEnded)
        }
        #expect(answer == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    }

    @Test func answersGivenLaterComeInTheOrderOfTheRequests() async throws {
        let requests = (0..<5).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined()
        let answer = try await Self.answer(requests) { exchange in
            // Earlier requests take longer.
            let number = Int(exchange.request.path.dropFirst()) ?? 0
            _ = LoopTimer(after: .milliseconds(10 - 2 * number)) { exchange.respond(.ok, body: Array("\(number)".utf8)) }
        }
        #expect(answer == (0..<5).map { "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\($0)" }.joined())
    }

    @Test func aRequestShowsItsFieldsWithoutRegardToCase() async throws {
        let request = "GET / HTTP/1.1\r\nhost: a\r\nAccept: x\r\nACCEPT: y\r\nX-Empty:\r\n\r\n"
        _ = try await Self.answer(request) { exchange in
            let headers = exchange.request.headers
            #expect(headers["Host"] == "a")
            #expect(headers["accept"] == "x")
            #expect(headers.values("Accept") == ["x", "y"])
            #expect(headers["x-empty"] == "")
            #expect(headers["missing"] == nil)
            #expect(headers.count == 4)
            #expect(headers.map(\.name) == ["host", "Accept", "ACCEPT", "X-Empty"])
            #expect(exchange.request.authority == "a")
            #expect(!exchange.request.isOverUnixSocket)
            #expect(exchange.request.remote.description.hasPrefix("127.0.0.1:"))
            exchange.respond(.ok)
        }
    }

    @Test func aKeptRequestIsNotChangedByLaterOnes() async throws {
        let kept = Mutex<[HTTPRequest]>([])
        _ = try await Self.answer("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n") { exchange in
            kept.withLock { $0.append(exchange.request) }
            exchange.respond(.ok)
        }
        let requests = kept.withLock { $0 }
        #expect(requests.map(\.path) == ["/1", "/2"])
        #expect(requests.map { $0.headers["host"] } == ["a", "b"])
        #expect(Set(requests.map(\.id)).count == 2)
    }

    @Test func headersCanBeBuiltAndChanged() {
        var headers: HTTPHeaders = ["A": "1", "B": "2"]
        headers.add("a", "3")
        #expect(headers.values("A") == ["1", "3"])
        headers.set("A", "4")
        #expect(headers.values("a") == ["4"])
        headers.remove("b")
        headers["C"] = "5"
        #expect(headers.map { "\($0.name)=\($0.value)" } == ["A=4", "C=5"])
    }
}
