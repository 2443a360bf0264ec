import EventLoop
import HTTPServer
import Testing

@Suite(.timeLimit(.minutes(1)))
struct StreamingTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private static func answer(_ request: String, _ handler: @escaping @LoopActor @Sendable (HTTPExchange) -> Void) async throws -> String {
        try await ServerFixture.with(handler: handler) { try await $0.exchange(request) }
    }

    @Test func aStreamIsChunked() async throws {
        let answer = try await Self.answer(Self.get + Self.get) { exchange in
            let writer = exchange.startStreaming(.ok, headers: ["Content-Type": "text/plain"])
            writer.write(Array("hello".utf8))
            writer.write([])
            writer.write([UInt8](repeating: 120, count: 16))
            writer.finish()
            writer.finish()
            #expect(writer.isEnded)
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        let one = head + "5\r\nhello\r\n10\r\nxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"
        #expect(answer == one + one)
    }

    @Test func aStreamToHTTP10EndsWithTheConnection() async throws {
        let answer = try await Self.answer("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") { exchange in
            let writer = exchange.startStreaming(.ok)
            writer.write(Array("hello".utf8))
            writer.finish()
        }
        #expect(answer == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
    }

    @Test func aStreamOfAnnouncedLengthIsNotChunked() async throws {
        let answer = try await Self.answer(Self.get + Self.get) { exchange in
            let writer = exchange.startStreaming(.ok, headers: ["Content-Length": "5"])
            writer.write(Array("hel".utf8))
            writer.write(Array("lo".utf8))
            writer.finish()
        }
        let one = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        #expect(answer == one + one)
    }

    @Test func aStreamThatBreaksItsAnnouncedLengthIsCutOff() async throws {
        for text in ["hell", "hello!"] {
            let answer = try await Self.answer(Self.get + Self.get) { exchange in
                let writer = exchange.startStreaming(.ok, headers: ["Content-Length": "5"])
                writer.write(Array(text.utf8))
                writer.finish()
            }
            #expect(answer.components(of: "HTTP/1.1") <= 1)
        }
    }

    @Test func anAnswerToHeadIsNotStreamed() async throws {
        let answer = try await Self.answer("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + Self.get) { exchange in
            let writer = exchange.startStreaming(.ok)
            writer.write(Array("x".utf8))
            writer.finish()
        }
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(answer == head + head + "1\r\nx\r\n0\r\n\r\n")
    }

    @Test func anAbortedStreamHasNoEnd() async throws {
        try await ServerFixture.with(handler: { exchange in
            let writer = exchange.startStreaming(.ok)
            writer.write(Array("x".utf8))
            _ = LoopTimer(after: .milliseconds(5)) { writer.abort() }
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            #expect(try await client.receiveAll().hasSuffix("1\r\nx\r\n"))
        }
    }

    @Test func eventsReachTheClientAsTheyAreWritten() async throws {
        let (writers, sink) = AsyncStream.makeStream(of: HTTPBodyWriter.self)
        try await ServerFixture.with(handler: { exchange in
            sink.yield(exchange.startStreaming(.ok, headers: ["Content-Type": "text/event-stream"]))
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            let writer = try #require(await writers.awaited())
            #expect(try await client.receive(through: "\r\n\r\n").contains("text/event-stream"))
            for number in 0..<3 {
                await LoopActor.run { writer.write(Array("data: \(number)\n\n".utf8)) }
                #expect(try await client.receive(through: "\n\n\r\n") == "9\r\ndata: \(number)\n\n\r\n")
            }
            await LoopActor.run { writer.finish() }
            #expect(try await client.receive(through: "0\r\n\r\n") == "0\r\n\r\n")
        }
    }

    @Test func aWriterTellsWhatWaitsAndWhenItHasGone() async throws {
        let (drains, sink) = AsyncStream.makeStream(of: Int.self)
        let total = 24 << 20
        try await ServerFixture.with(handler: { exchange in
            let writer = exchange.startStreaming(.ok, headers: ["Content-Length": "\(total)"])
            let block = [UInt8](repeating: 120, count: 1 << 18)
            var written = 0
            let fill = { @LoopActor in
                while writer.bufferedBytes == 0, written < total {
                    writer.write(block)
                    written += block.count
                }
                sink.yield(written)
                if written == total { writer.finish() }
            }
            writer.onDrain = { fill() }
            fill()
        }) { fixture in
            let client = try RawClient(port: fixture.port, receiveBufferBytes: 65536)
            try await client.send(Self.get)
            // The client reads nothing yet: the producer has stopped far from the end.
            let first = try #require(await drains.awaited())
            #expect(first < total)
            client.endSending()
            #expect(try await client.receiveBytes().count > total)
            #expect(await drains.awaited { $0 == total } == total)
        }
    }

    @Test func aClientThatGoesAwayIsNoticedWhileStreaming() async throws {
        let (gone, sink) = AsyncStream.makeStream(of: Bool.self)
        try await ServerFixture.with(handler: { exchange in
            let writer = exchange.startStreaming(.ok)
            exchange.onDisconnect = { sink.yield(writer.isEnded) }
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            _ = try await client.receive(through: "\r\n\r\n")
            client.reset()
            #expect(await gone.awaited() == true)
        }
    }

    @Test func aClientThatGoesAwayIsNoticedWhileItsAnswerIsPending() async throws {
        let (seen, began) = AsyncStream.makeStream(of: Void.self)
        let (gone, sink) = AsyncStream.makeStream(of: Bool.self)
        try await ServerFixture.with(handler: { exchange in
            exchange.onDisconnect = {
                exchange.respond(.ok)
                sink.yield(exchange.isAnswered)
            }
            began.yield()
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send(Self.get)
            _ = await seen.awaited()
            client.endSending()
            #expect(await gone.awaited() == true)
            #expect(try await client.receiveAll() == "")
        }
    }

    @Test func aHalfClosedClientIsStillAnswered() async throws {
        let answer = try await Self.answer(Self.get) { exchange in
            _ = LoopTimer(after: .milliseconds(20)) { exchange.respond(.ok) }
        }
        #expect(answer == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    }
}
