import EventLoop
import HTTPServer
import Testing

/// Every bound of `HTTPLimits`, at the limit and one past it.
@Suite(.timeLimit(.minutes(1)))
struct LimitTests {
    private static func statuses(_ limits: HTTPLimits, _ requests: String...) async throws -> [String] {
        try await ServerFixture.with(limits: limits, handler: ServerFixture.echo) { fixture in
            var statuses: [String] = []
            for request in requests { statuses.append(String(try await fixture.exchange(request).dropFirst(9).prefix(3))) }
            return statuses
        }
    }

    @Test func targetBytesMax() async throws {
        var limits = HTTPLimits()
        limits.targetBytesMax = 20
        func request(_ count: Int) -> String { "GET /\(String(repeating: "x", count: count - 1)) HTTP/1.1\r\nHost: a\r\n\r\n" }
        #expect(try await Self.statuses(limits, request(20), request(21), request(100_000)) == ["200", "414", "414"])
    }

    @Test func headBytesMax() async throws {
        var limits = HTTPLimits()
        limits.headBytesMax = 200
        func request(_ count: Int) -> String {
            let start = "GET / HTTP/1.1\r\nHost: a\r\nX: "
            return start + String(repeating: "x", count: count - start.utf8.count - 4) + "\r\n\r\n"
        }
        #expect(try await Self.statuses(limits, request(200), request(201), request(100_000)) == ["200", "431", "431"])
        // Empty lines before a request are part of its head, or they could go on for ever.
        #expect(try await Self.statuses(limits, String(repeating: "\r\n", count: 101)) == ["431"])
    }

    @Test func headerCountMax() async throws {
        var limits = HTTPLimits()
        limits.headerCountMax = 10
        func request(_ count: Int) -> String {
            "GET / HTTP/1.1\r\nHost: a\r\n" + (1..<count).map { "X\($0): y\r\n" }.joined() + "\r\n"
        }
        #expect(try await Self.statuses(limits, request(10), request(11), request(1000)) == ["200", "431", "431"])
    }

    @Test func bodyBytesMax() async throws {
        var limits = HTTPLimits()
        limits.bodyBytesMax = 10
        func sized(_ count: Int) -> String {
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n" + String(repeating: "x", count: count)
        }
        func chunked(_ count: Int) -> String {
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "1\r\nx\r\n", count: count) + "0\r\n\r\n"
        }
        #expect(try await Self.statuses(limits, sized(10), sized(11), chunked(10), chunked(11)) == ["200", "413", "200", "413"])
    }

    @Test func aHandlerCanRaiseAndLowerTheBodyLimit() async throws {
        var limits = HTTPLimits()
        limits.bodyBytesMax = 10
        try await ServerFixture.with(
            limits: limits,
            handler: { exchange in
                exchange.bodyBytesMax = 20
                ServerFixture.echo(exchange)
            }
        ) { fixture in
            func request(_ count: Int) -> String {
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(count)\r\n\r\n" + String(repeating: "x", count: count)
            }
            let atTheLimit = try await fixture.exchange(request(20))
            let past = try await fixture.exchange(request(21))
            #expect(atTheLimit.hasPrefix("HTTP/1.1 200") && past.hasPrefix("HTTP/1.1 413"))
        }
    }

    @Test func chunkFramingBytesMax() async throws {
        var limits = HTTPLimits()
        limits.chunkFramingBytesMax = 100
        // The framing is "1;x=…\r\n", "\r\n" and "0\r\n\r\n"; one byte of body allows sixteen bytes more.
        func request(_ framing: Int) -> String {
            let filler = String(repeating: "y", count: framing - 14)
            return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;xx=\(filler)\r\nz\r\n0\r\n\r\n"
        }
        #expect(try await Self.statuses(limits, request(115), request(116), request(117)) == ["200", "200", "400"])
        let zeros = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + String(repeating: "0", count: 200)
        #expect(try await Self.statuses(limits, zeros) == ["400"])
    }

    @Test func connectionsMax() async throws {
        var limits = HTTPLimits()
        limits.connectionsMax = 2
        let (handled, sink) = AsyncStream.makeStream(of: Void.self)
        try await ServerFixture.with(limits: limits, handler: { _ in sink.yield() }) { fixture in
            let first = try RawClient(port: fixture.port)
            let second = try RawClient(port: fixture.port)
            // Both are busy: their requests are never answered.
            for client in [first, second] {
                try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                _ = await handled.awaited()
            }
            let third = try await RawClient(port: fixture.port).receiveAll()
            #expect(third.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(third.hasSuffix("\"code\":\"too_many_connections\"}"))
            #expect(await fixture.server.connectionCount == 2)
        }
    }

    @Test func atTheConnectionLimitTheLongestIdleOneGivesWay() async throws {
        var limits = HTTPLimits()
        limits.connectionsMax = 2
        try await ServerFixture.with(limits: limits, handler: ServerFixture.echo) { fixture in
            let first = try RawClient(port: fixture.port)
            try await first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await first.receive(through: "GET /1 [] ")
            let second = try RawClient(port: fixture.port)
            try await second.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try await second.receive(through: "GET /2 [] ")
            #expect(try await fixture.exchange("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n").hasSuffix("GET /3 [] "))
            #expect(try await first.receiveAll() == "")
            try await second.send("GET /4 HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await second.receive(through: "GET /4 [] ").hasSuffix("GET /4 [] "))
        }
    }

    @Test func pipelinedBytesMax() async throws {
        var limits = HTTPLimits()
        limits.pipelinedBytesMax = 1000
        let (exchanges, sink) = AsyncStream.makeStream(of: HTTPExchange.self)
        try await ServerFixture.with(limits: limits, handler: { sink.yield($0) }) { fixture in
            let client = try RawClient(port: fixture.port)
            let request = "GET /\(String(repeating: "x", count: 1000)) HTTP/1.1\r\nHost: a\r\n\r\n"
            try await client.send(request)
            let exchange = try #require(await exchanges.awaited())
            // The first is not answered: what is sent after it fills the system's buffers, and then nothing more goes out.
            let more = Array(String(repeating: request, count: 1000).utf8)
            var blocked = false
            for _ in 0..<100 where client.sendNow(more) < 0 { blocked = true }
            #expect(blocked)
            await LoopActor.run { exchange.respond(.ok) }
            #expect(await exchanges.awaited() != nil)
        }
    }

    @Test func pipelinedAnswerBytesMax() async throws {
        var limits = HTTPLimits()
        limits.pipelinedAnswerBytesMax = 1 << 20
        let (handled, sink) = AsyncStream.makeStream(of: Int.self)
        let body = [UInt8](repeating: 120, count: 1 << 20)
        let count = LoopCounter()
        try await ServerFixture.with(
            limits: limits,
            handler: { exchange in
                sink.yield(count.next())
                exchange.respond(.ok, body: body)
            }
        ) { fixture in
            let client = try RawClient(port: fixture.port, receiveBufferBytes: 65536)
            try await client.send(String(repeating: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", count: 24))
            _ = await handled.awaited()
            // A client that reads nothing has only as many requests answered as the buffers hold; the rest wait for it.
            #expect(await LoopActor.run { count.value } < 24)
            client.endSending()
            #expect(try await client.receiveBytes().count > 24 << 20)
            #expect(await LoopActor.run { count.value } == 24)
        }
    }

    @Test func writeBufferBytesMax() async throws {
        var limits = HTTPLimits()
        limits.writeBufferBytesMax = 1 << 20
        let (gone, sink) = AsyncStream.makeStream(of: Bool.self)
        try await ServerFixture.with(
            limits: limits,
            handler: { exchange in
                exchange.onDisconnect = { sink.yield(true) }
                let writer = exchange.startStreaming(.ok)
                // Written from outside the handler, as a producer of events does.
                _ = LoopTimer(after: .zero) {
                    let block = [UInt8](repeating: 120, count: 1 << 16)
                    while !writer.isEnded { writer.write(block) }
                }
            }
        ) { fixture in
            let client = try RawClient(port: fixture.port, receiveBufferBytes: 65536)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(await gone.awaited() == true)
        }
    }
}

/// Counts on the loop.
@LoopActor
final class LoopCounter {
    private(set) var value = 0
    nonisolated init() {}

    func next() -> Int {
        value += 1
        return value
    }
}
