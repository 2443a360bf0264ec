import EventLoop
import HTTPServer
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ShutdownTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test func anIdleConnectionIsClosedAtOnceAndNoNewOneIsAccepted() async throws {
        try await ServerFixture.with(handler: ServerFixture.echo) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            _ = try await client.receive(through: "GET / [] ")
            await fixture.server.shutdown(grace: .seconds(60))
            #expect(try await client.receiveAll() == "")
            #expect(throws: RawClient.Failure.self) { try RawClient(port: fixture.port) }
        }
    }

    @Test func aRequestUnderWayIsAnsweredAsTheLastOne() async throws {
        let (exchanges, sink) = AsyncStream.makeStream(of: HTTPExchange.self)
        try await ServerFixture.with(handler: { sink.yield($0) }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            let exchange = try #require(await exchanges.awaited())
            let (told, teller) = AsyncStream.makeStream(of: Void.self)
            await LoopActor.run { exchange.onShutdown = { teller.yield() } }
            async let ended: Void = fixture.server.shutdown(grace: .seconds(60))
            #expect(await told.awaited() != nil)
            await LoopActor.run { exchange.respond(.ok) }
            await ended
            #expect(try await client.receiveAll() == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
    }

    @Test func aStreamCanEndInGoodOrder() async throws {
        let (began, sink) = AsyncStream.makeStream(of: Void.self)
        try await ServerFixture.with(handler: { exchange in
            let writer = exchange.startStreaming(.ok)
            exchange.onShutdown = {
                writer.write(Array("bye".utf8))
                writer.finish()
            }
            sink.yield()
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            _ = await began.awaited()
            await fixture.server.shutdown(grace: .seconds(60))
            #expect(try await client.receiveAll().hasSuffix("3\r\nbye\r\n0\r\n\r\n"))
        }
    }

    @Test func whatIsStillOpenAfterTheGraceIsCutOffAndTold() async throws {
        let (began, sink) = AsyncStream.makeStream(of: Void.self)
        let (gone, teller) = AsyncStream.makeStream(of: Void.self)
        try await ServerFixture.with(handler: { exchange in
            exchange.startStreaming(.ok).write(Array("x".utf8))
            exchange.onDisconnect = { teller.yield() }
            sink.yield()
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            _ = await began.awaited()
            await fixture.server.shutdown(grace: .milliseconds(10))
            #expect(await gone.awaited() != nil)
            #expect(await fixture.server.connectionCount == 0)
            #expect(try await client.receiveAll().hasSuffix("1\r\nx\r\n"))
        }
    }

    @Test func shuttingDownTwiceIsFine() async throws {
        try await ServerFixture.with(handler: ServerFixture.echo) { fixture in
            async let first: Void = fixture.server.shutdown(grace: .zero)
            async let second: Void = fixture.server.shutdown(grace: .zero)
            _ = await (first, second)
        }
    }
}
