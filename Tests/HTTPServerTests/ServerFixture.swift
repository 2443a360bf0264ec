import EventLoop
import Glibc
import HTTPServer

/// Answers by a closure.
@LoopActor
final class ClosureHandler: HTTPHandler {
    private let body: @LoopActor (HTTPExchange) -> Void

    init(_ body: @escaping @LoopActor (HTTPExchange) -> Void) { self.body = body }

    func handle(_ exchange: HTTPExchange) { body(exchange) }
}

/// A real server on a port of the system's choice, shut down at the end.
struct ServerFixture: Sendable {
    let server: HTTPServer
    let port: Int

    static func with<Success: Sendable>(
        limits: HTTPLimits = .standard, handler: @escaping @LoopActor @Sendable (HTTPExchange) -> Void,
        _ body: (ServerFixture) async throws -> Success
    ) async throws -> Success {
        let fixture = try await LoopActor.run {
            let server = HTTPServer(limits: limits, handler: ClosureHandler(handler))
            return ServerFixture(server: server, port: try server.listen(host: "127.0.0.1", port: 0))
        }
        let result: Result<Success, any Error>
        do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
        await fixture.server.shutdown(grace: .zero)
        return try result.get()
    }

    /// Sends a text, closes the sending side, and returns all that is answered, without the `Date` fields.
    func exchange(_ text: String) async throws -> String {
        let client = try RawClient(port: port)
        try await client.send(text)
        client.endSending()
        return try await client.receiveAll()
    }

    /// Answers with what was asked: method, path, query and body.
    static let echo: @LoopActor @Sendable (HTTPExchange) -> Void = { exchange in
        exchange.readBody(upTo: 1 << 20) { result in
            guard case .success(let body) = result else { return }
            let query = exchange.request.query.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
            let text = "\(exchange.request.method) \(exchange.request.path) [\(query)] " + String(decoding: body, as: UTF8.self)
            exchange.respond(.ok, body: Array(text.utf8))
        }
    }
}

/// A client that sends and receives bytes as they are. Its blocking calls run on a thread of its own.
final class RawClient: Sendable {
    struct Failure: Error {
        var call: String
        var errno: Int32
    }

    let socket: Int32
    private let thread = BlockingThread(name: "raw client")

    /// Connects to a TCP port of this machine. A small receive buffer makes back-pressure come early.
    init(port: Int, receiveBufferBytes: Int32? = nil) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if var bytes = receiveBufferBytes { setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size)) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        try connect(&address)
    }

    /// Connects to a Unix socket.
    init(unixPath: String) throws {
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: unixPath.utf8) }
        try connect(&address)
    }

    deinit { Glibc.close(socket) }

    private func connect<Address>(_ address: inout Address) throws {
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(socket, $0, socklen_t(MemoryLayout<Address>.size)) }
        }
        if status != 0 { throw Failure(call: "connect", errno: errno) }
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) async throws {
        try await thread.run { [socket] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                guard count > 0 else { throw Failure(call: "send", errno: errno) }
                sent += count
            }
        }
    }

    /// Sends what the socket takes without waiting; returns the number of bytes.
    func sendNow(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) }
    }

    func endSending() { Glibc.shutdown(socket, Int32(SHUT_WR)) }

    /// Ends the connection by a reset.
    func reset() {
        var option = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<Glibc.linger>.size))
        Glibc.shutdown(socket, Int32(SHUT_RDWR))
    }

    /// Receives until the text ends with `suffix`, and returns it without the `Date` fields.
    func receive(through suffix: String) async throws -> String {
        try await thread.run { [socket] in
            var text: [UInt8] = []
            while !Self.withoutDates(text).hasSuffix(suffix) {
                guard let more = try Self.receiveSome(socket), !more.isEmpty else { break }
                text.append(contentsOf: more)
            }
            return Self.withoutDates(text)
        }
    }

    /// Receives until the server closes, and returns it without the `Date` fields.
    func receiveAll() async throws -> String { Self.withoutDates(try await receiveBytes()) }

    func receiveBytes() async throws -> [UInt8] {
        try await thread.run { [socket] in
            var bytes: [UInt8] = []
            while let more = try Self.receiveSome(socket), !more.isEmpty { bytes.append(contentsOf: more) }
            return bytes
        }
    }

    private static func receiveSome(_ socket: Int32) throws -> [UInt8]? {
        var error: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            let got = recv(socket, buffer.baseAddress, 65536, 0)
            if got < 0 { error = errno }
            count = max(0, got)
        }
        if error != 0 { throw Failure(call: "recv", errno: error) }
        return bytes
    }

    private static func withoutDates(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("Date: ") }.joined(separator: "\r\n")
    }
}
