import EventLoop
import Glibc
import HTTPServer
import Testing

/// Clients that send or take too little: each is waited for until the server ends it.
@Suite(.timeLimit(.minutes(1)))
struct SlowClientTests {
    private static let problem408 = "HTTP/1.1 408 Request Timeout\r\n"

    @Test func headTimeout() async throws {
        var limits = HTTPLimits()
        limits.headTimeout = .milliseconds(50)
        try await ServerFixture.with(limits: limits, handler: ServerFixture.echo) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n")
            #expect(try await client.receiveAll().hasPrefix(Self.problem408))
        }
    }

    @Test func headTimeoutIsNotPutOffByDrippingBytes() async throws {
        var limits = HTTPLimits()
        limits.headTimeout = .milliseconds(100)
        try await ServerFixture.with(limits: limits, handler: ServerFixture.echo) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("GET /")
            let drip = await LoopActor.run {
                LoopTimer(after: .zero, every: .milliseconds(2)) { _ = client.sendNow(Array("x".utf8)) }
            }
            #expect(try await client.receiveAll().hasPrefix(Self.problem408))
            await LoopActor.run { drip.cancel() }
        }
    }

    @Test func keepAliveTimeoutBeforeAndBetweenRequests() async throws {
        var limits = HTTPLimits()
        limits.keepAliveTimeout = .milliseconds(50)
        try await ServerFixture.with(limits: limits, handler: ServerFixture.echo) { fixture in
            let silent = try RawClient(port: fixture.port)
            #expect(try await silent.receiveAll() == "")
            var answer = ""
            while answer.isEmpty {
                // On a busy machine the time may be up before this client has sent its request; then it tries again.
                do {
                    let client = try RawClient(port: fixture.port)
                    try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    answer = try await client.receiveAll()
                } catch let failure as RawClient.Failure where failure.errno == ECONNRESET || failure.errno == EPIPE {}
            }
            #expect(answer.hasSuffix("GET / [] "))
        }
    }

    @Test func bodyIdleTimeout() async throws {
        var limits = HTTPLimits()
        limits.bodyIdleTimeout = .milliseconds(50)
        try await ServerFixture.with(limits: limits, handler: ServerFixture.echo) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try await client.receiveAll().hasPrefix(Self.problem408))
        }
    }

    @Test func bodyBytesPerSecondMin() async throws {
        var limits = HTTPLimits()
        limits.bodyIdleTimeout = .milliseconds(100)
        limits.bodyBytesPerSecondMin = 10_000
        try await ServerFixture.with(limits: limits, handler: ServerFixture.echo) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            // A byte every 2 ms is never idle and always too slow.
            let drip = await LoopActor.run {
                LoopTimer(after: .zero, every: .milliseconds(2)) { _ = client.sendNow(Array("x".utf8)) }
            }
            #expect(try await client.receiveAll().hasPrefix(Self.problem408))
            await LoopActor.run { drip.cancel() }
        }
    }

    @Test func aPausedBodyHasNoTimeout() async throws {
        var limits = HTTPLimits()
        limits.bodyIdleTimeout = .milliseconds(20)
        try await ServerFixture.with(
            limits: limits,
            handler: { exchange in
                var count = 0
                exchange.streamBody(
                    onChunk: { chunk in
                        count += chunk.count
                        exchange.pauseBody()
                        _ = LoopTimer(after: .milliseconds(100)) { exchange.resumeBody() }
                    }, onEnd: { _ in exchange.respond(.ok, body: Array("\(count)".utf8)) })
            }
        ) { fixture in
            let answer = try await fixture.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            #expect(answer.hasSuffix("\r\n\r\n3"))
        }
    }

    @Test func writeStallTimeout() async throws {
        var limits = HTTPLimits()
        limits.writeStallTimeout = .milliseconds(100)
        let (gone, sink) = AsyncStream.makeStream(of: Void.self)
        try await ServerFixture.with(
            limits: limits,
            handler: { exchange in
                exchange.onDisconnect = { sink.yield() }
                exchange.startStreaming(.ok).write([UInt8](repeating: 120, count: 7 << 20))
            }
        ) { fixture in
            let client = try RawClient(port: fixture.port, receiveBufferBytes: 8192)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(await gone.awaited() != nil)
            #expect(await fixture.server.connectionCount == 0)
        }
    }

    @Test func lingerTimeout() async throws {
        var limits = HTTPLimits()
        limits.lingerTimeout = .milliseconds(50)
        limits.drainedBodyBytesMax = 0
        try await ServerFixture.with(limits: limits, handler: { $0.respond(.notFound) }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            // The answer comes at once and whole, and the server waits a while for the client to close.
            #expect(try await client.receiveAll() == "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            let (closed, sink) = AsyncStream.makeStream(of: Void.self)
            let watch = await LoopActor.run {
                LoopTimer(after: .zero, every: .milliseconds(1)) { if fixture.server.connectionCount == 0 { sink.yield() } }
            }
            #expect(await closed.awaited() != nil)
            await LoopActor.run { watch.cancel() }
        }
    }
}
