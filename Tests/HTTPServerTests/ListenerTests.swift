import EventLoop
import Glibc
import HTTPServer
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ListenerTests {
    private static func temporaryFolder() -> String {
        var template = Array("/tmp/httpserver-XXXXXX".utf8CString)
        return String(cString: mkdtemp(&template))
    }

    @LoopActor
    private static func server() -> HTTPServer {
        HTTPServer(
            handler: ClosureHandler { exchange in
                exchange.respond(.ok, body: Array("\(exchange.request.remote) \(exchange.request.isOverUnixSocket)".utf8))
            })
    }

    @Test @LoopActor func aUnixSocketServesItsOwnUserAlone() async throws {
        let folder = Self.temporaryFolder()
        let path = "\(folder)/anneal.sock"
        let server = Self.server()
        try server.listen(unixPath: path)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        let client = try RawClient(unixPath: path)
        try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try await client.receive(through: "unix true").hasSuffix("unix true"))
        await server.shutdown(grace: .zero)
        #expect(stat(path, &status) != 0)
        rmdir(folder)
    }

    @Test @LoopActor func aStaleSocketIsReplacedAndALiveOneIsNot() async throws {
        let folder = Self.temporaryFolder()
        let path = "\(folder)/anneal.sock"
        // A socket file that nobody listens on, as a killed daemon leaves it.
        let stale = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(stale, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        #expect(bound == 0)
        close(stale)
        let first = Self.server()
        try first.listen(unixPath: path)
        let second = Self.server()
        let error = #expect(throws: UVError.self) { try second.listen(unixPath: path) }
        #expect(error?.name == "EADDRINUSE")
        let client = try RawClient(unixPath: path)
        try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try await client.receive(through: "unix true").hasSuffix("unix true"))
        await first.shutdown(grace: .zero)
        rmdir(folder)
    }

    @Test @LoopActor func aPathThatIsNoSocketIsLeftAlone() {
        let folder = Self.temporaryFolder()
        let path = "\(folder)/file"
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        let error = #expect(throws: UVError.self) { try Self.server().listen(unixPath: path) }
        #expect(error?.name == "EEXIST")
        #expect(access(path, F_OK) == 0)
        unlink(path)
        rmdir(folder)
    }

    @Test @LoopActor func aSocketPathIsTakenUpTo107BytesAndRefusedPastThem() async throws {
        let folder = Self.temporaryFolder()
        func path(_ count: Int) -> String { "\(folder)/" + String(repeating: "x", count: count - folder.utf8.count - 1) }
        let server = Self.server()
        try server.listen(unixPath: path(107))
        let error = #expect(throws: UVError.self) { try server.listen(unixPath: path(108)) }
        #expect(error?.name == "ENAMETOOLONG")
        await server.shutdown(grace: .zero)
        rmdir(folder)
    }

    @Test @LoopActor func aTakenPortIsAnErrorWithTheCall() async throws {
        let first = Self.server()
        let port = try first.listen(host: "localhost", port: 0)
        #expect(port > 0)
        let error = #expect(throws: UVError.self) { _ = try Self.server().listen(host: "127.0.0.1", port: port) }
        #expect(error?.name == "EADDRINUSE")
        await first.shutdown(grace: .zero)
    }

    @Test @LoopActor func aHostThatIsNoAddressIsRefused() {
        #expect(throws: UVError.self) { _ = try Self.server().listen(host: "no such host", port: 0) }
        #expect(throws: UVError.self) { _ = try Self.server().listen(host: "127.0.0.1", port: 65536) }
    }

    @Test @LoopActor func oneServerListensOnSeveralSockets() async throws {
        let server = Self.server()
        let ports = [try server.listen(host: "127.0.0.1", port: 0), try server.listen(host: "127.0.0.1", port: 0)]
        for port in ports {
            let client = try RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try await client.receive(through: " false").hasSuffix(" false"))
        }
        await server.shutdown(grace: .zero)
    }
}
