import EventLoop
import HTTPServer

/// A real server with a few pages to fetch.
@LoopActor
final class TestServer: HTTPHandler {
    /// Tells that a request for `/held` has come.
    static let (began, beganSink) = AsyncStream.makeStream(of: Void.self)
    /// Tells that the client of `/held` has gone.
    static let (gone, goneSink) = AsyncStream.makeStream(of: Void.self)

    static func with<Success: Sendable>(
        unixPath: String? = nil, _ body: @LoopActor (String) async throws -> Success
    ) async throws -> Success {
        let server = HTTPServer(handler: TestServer())
        let port = try server.listen(host: "127.0.0.1", port: 0)
        if let unixPath { try server.listen(unixPath: unixPath) }
        let result: Result<Success, any Error>
        do { result = .success(try await body("http://127.0.0.1:\(port)")) } catch { result = .failure(error) }
        await server.shutdown(grace: .zero)
        return try result.get()
    }

    func handle(_ exchange: HTTPExchange) {
        exchange.bodyBytesMax = 64 << 20
        let parts = exchange.request.path.split(separator: "/")
        switch parts.first {
        case "echo": echo(exchange)
        case "bytes": exchange.respond(.ok, body: [UInt8](repeating: 120, count: parts.last.flatMap { Int($0) } ?? 0))
        case "never": break
        case "held":
            exchange.onDisconnect = { Self.goneSink.yield() }
            Self.beganSink.yield()
        case "events":
            let writer = exchange.startStreaming(.ok, headers: ["Content-Type": "text/event-stream"])
            for number in 0..<3 { writer.write(Array("data: \(number)\n\n".utf8)) }
            writer.finish()
        case "moved": exchange.respond(HTTPStatus(302), headers: ["Location": "/echo"])
        default: exchange.respond(.notFound, body: Array("nothing here".utf8))
        }
    }

    private func echo(_ exchange: HTTPExchange) {
        exchange.readBody(upTo: 64 << 20) { result in
            guard case .success(let body) = result else { return }
            let request = exchange.request
            let fields = ["x-test", "x-empty"].compactMap { name in request.headers[name].map { "\(name)=\($0)" } }
            let type = request.headers["content-type"] ?? "none"
            let text = body.count > 1000 ? "\(body.count) bytes" : String(decoding: body, as: UTF8.self)
            let answer = "\(request.method) \(request.path) \(fields.joined(separator: " ")) type=\(type) \(text)"
            exchange.respond(.ok, headers: ["Content-Type": "text/plain"], body: Array(answer.utf8))
        }
    }
}
