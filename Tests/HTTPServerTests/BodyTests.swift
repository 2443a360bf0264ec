import EventLoop
import HTTPServer
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct BodyTests {
    private static let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    private static func post(_ body: String, fields: String = "") -> String {
        "POST / HTTP/1.1\r\nHost: a\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func theInterimAnswerComesWhenTheBodyIsAskedFor() async throws {
        try await ServerFixture.with(handler: ServerFixture.echo) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            #expect(try await client.receive(through: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            try await client.send("abc")
            #expect(try await client.receive(through: "abc").hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func aRefusalInPlaceOfTheInterimAnswerClosesTheConnection() async throws {
        try await ServerFixture.with(handler: { $0.respond(.unauthorized) }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            #expect(try await client.receiveAll() == "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
    }

    @Test func anHTTP10ClientGetsNoInterimAnswer() async throws {
        let answer = try await ServerFixture.with(handler: ServerFixture.echo) {
            try await $0.exchange("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
        }
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    }

    @Test func aSmallUnwantedBodyIsReadOver() async throws {
        let answer = try await ServerFixture.with(handler: { $0.respond(.notFound) }) {
            try await $0.exchange(Self.post("GET /smuggled HTTP/1.1\r\n\r\n") + Self.chunked + "3\r\nabc\r\n0\r\n\r\n" + Self.post(""))
        }
        // The chunked one ends unknown, so its answer is the last.
        let head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
        #expect(answer == head + "\r\n" + head + "Connection: close\r\n\r\n")
    }

    @Test func aLargeUnwantedBodyEndsTheConnectionAfterTheAnswer() async throws {
        var limits = HTTPLimits()
        limits.drainedBodyBytesMax = 10
        try await ServerFixture.with(limits: limits, handler: { $0.respond(.notFound) }) { fixture in
            let atTheLimit = try await fixture.exchange(Self.post("0123456789") + Self.post(""))
            #expect(atTheLimit.components(of: "404 Not Found") == 2)
            let past = try await fixture.exchange(Self.post("0123456789a") + Self.post(""))
            #expect(past == "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
    }

    @Test func aStreamedBodyComesInItsOrder() async throws {
        let size = 3_000_000
        let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try await ServerFixture.with(handler: { exchange in
            var received: [UInt8] = []
            exchange.streamBody(onChunk: { received += $0 }) { error in
                exchange.respond(.ok, body: Array("\(error == nil) \(received == body)".utf8))
            }
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
            try await client.send(body)
            client.endSending()
            #expect(try await client.receiveAll().hasSuffix("true true"))
        }
    }

    @Test func aPausedBodyMakesTheClientWait() async throws {
        let (paused, isPaused) = AsyncStream.makeStream(of: HTTPExchange.self)
        let size = 16 << 20
        try await ServerFixture.with(handler: { exchange in
            exchange.bodyBytesMax = Int64(size)
            var count = 0
            exchange.streamBody(
                onChunk: { chunk in
                    if count == 0 {
                        exchange.pauseBody()
                        isPaused.yield(exchange)
                    }
                    count += chunk.count
                },
                onEnd: { _ in exchange.respond(.ok, body: Array("\(count)".utf8)) })
        }) { fixture in
            let client = try RawClient(port: fixture.port)
            try await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\nx")
            let exchange = try #require(await paused.awaited())
            // The buffers of the system fill up well before the body's end, and then the client can send no more.
            let block = [UInt8](repeating: 120, count: 1 << 16)
            var sent = 1
            while sent < size {
                let count = client.sendNow(block)
                if count < 0 { break }
                sent += count
            }
            #expect(sent < size)
            await LoopActor.run { exchange.resumeBody() }
            try await client.send([UInt8](repeating: 120, count: size - sent))
            client.endSending()
            #expect(try await client.receiveAll().hasSuffix("\r\n\r\n\(size)"))
        }
    }

    @Test func aBodyThatIsCutOffIsAnError() async throws {
        let (ends, sink) = AsyncStream.makeStream(of: HTTPBodyError?.self)
        try await ServerFixture.with(handler: { exchange in
            exchange.streamBody(onChunk: { _ in }, onEnd: { sink.yield($0) })
        }) { fixture in
            let answer = try await fixture.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabc")
            #expect(answer == "")
            #expect(await ends.awaited() == .some(.disconnected))
        }
    }

    @Test func aConsumerHearsOfMalformedChunksAndTheClientToo() async throws {
        let (ends, sink) = AsyncStream.makeStream(of: HTTPBodyError?.self)
        try await ServerFixture.with(handler: { exchange in
            exchange.streamBody(onChunk: { _ in }, onEnd: { sink.yield($0) })
        }) { fixture in
            let answer = try await fixture.exchange(Self.chunked + "1\r\na\r\nx")
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            guard case .some(.some(.malformed)) = await ends.awaited() else {
                Issue.record("not malformed")
                return
            }
        }
    }

    @Test func aHandlerMayAnswerABodyErrorItself() async throws {
        let answer = try await ServerFixture.with(handler: { exchange in
            exchange.readBody(upTo: 2) { result in
                if case .failure(let error) = result { exchange.respond(.contentTooLarge, body: Array(error.description.utf8)) }
            }
        }) { try await $0.exchange(Self.post("abc") + Self.post("")) }
        let head = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 39\r\nConnection: close\r\n\r\n"
        #expect(answer == head + "The request body has more than 2 bytes.")
    }

    @Test func aBodyCanBeReadLater() async throws {
        let answer = try await ServerFixture.with(handler: { exchange in
            _ = LoopTimer(after: .milliseconds(5)) { ServerFixture.echo(exchange) }
        }) { try await $0.exchange(Self.post("abc") + Self.chunked + "1\r\nz\r\n0\r\n\r\n") }
        #expect(answer.components(of: "POST / [] abc") == 1)
        #expect(answer.hasSuffix("POST / [] z"))
    }
}
