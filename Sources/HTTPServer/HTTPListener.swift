import CUV
import EventLoop
import Glibc

/// A listening socket.
@LoopActor
final class HTTPListener {
    private enum Kind { case tcp, unix }

    private unowned let server: HTTPServer
    private var handle: UnsafeMutablePointer<uv_stream_t>?
    private let kind: Kind
    /// The bound port; none for a Unix socket.
    private(set) var port: Int?

    /// Listens on TCP. `host` is a numeric address or `localhost`; port 0 lets the system choose.
    init(server: HTTPServer, host: String, port: Int) throws(UVError) {
        self.server = server
        kind = .tcp
        var address = try Self.address(host: host, port: port)
        let tcp = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
        uv_tcp_init(LoopExecutor.shared.loop, tcp)
        handle = UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_stream_t.self)
        try check(
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { uv_tcp_bind(tcp, $0, 0) }
            }, "uv_tcp_bind")
        try listen()
        self.port = SocketAddress.local(of: tcp)?.port
    }

    /// Listens on a Unix socket that only the process's own user can open.
    init(server: HTTPServer, unixPath: String) throws(UVError) {
        self.server = server
        kind = .unix
        // libuv would cut a longer path off and bind another name.
        let pathBytesMax = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1
        guard unixPath.utf8.count <= pathBytesMax else { throw UVError(call: "uv_pipe_bind", code: -ENAMETOOLONG) }
        try Self.removeStaleSocket(unixPath)
        let pipe = UnsafeMutablePointer<uv_pipe_t>.allocate(capacity: 1)
        uv_pipe_init(LoopExecutor.shared.loop, pipe, 0)
        handle = UnsafeMutableRawPointer(pipe).assumingMemoryBound(to: uv_stream_t.self)
        try check(uv_pipe_bind(pipe, unixPath), "uv_pipe_bind")
        // Nobody can connect before `listen`, so the mode holds from the first connection on.
        try check(chmod(unixPath, 0o600) == 0 ? 0 : -errno, "chmod")
        try listen()
    }

    /// Stops listening; libuv removes the file of a Unix socket.
    func close() {
        guard let handle else { return }
        self.handle = nil
        UVHandle.close(handle)
    }

    private func check(_ status: Int32, _ call: String) throws(UVError) {
        guard status < 0 else { return }
        close()
        throw UVError(call: call, code: status)
    }

    private func listen() throws(UVError) {
        guard let handle else { return }
        UVHandle.attach(self, to: handle)
        let status = uv_listen(handle, 1024) { stream, status in
            // An error here is one connection that failed. When descriptors run out (EMFILE) libuv has closed it, so
            // that the listening socket does not stay ready for ever.
            guard status == 0, let stream, let listener = UVHandle.owner(of: stream, as: HTTPListener.self) else { return }
            LoopActor.assumeIsolated { listener.accept() }
        }
        try check(status, "uv_listen")
    }

    private func accept() {
        guard let handle else { return }
        let loop = LoopExecutor.shared.loop
        switch kind {
        case .tcp:
            let tcp = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
            uv_tcp_init(loop, tcp)
            let stream = UnsafeMutableRawPointer(tcp).assumingMemoryBound(to: uv_stream_t.self)
            guard uv_accept(handle, stream) == 0 else { return Self.drop(stream) }
            // Neither is worth refusing a connection for: answers wait no longer than they must, and a peer that vanished
            // without a word is found out.
            uv_tcp_nodelay(tcp, 1)
            uv_tcp_keepalive(tcp, 1, 60)
            server.accepted(stream, remote: .tcp(SocketAddress.peer(of: tcp)?.description ?? "unknown"))
        case .unix:
            let pipe = UnsafeMutablePointer<uv_pipe_t>.allocate(capacity: 1)
            uv_pipe_init(loop, pipe, 0)
            let stream = UnsafeMutableRawPointer(pipe).assumingMemoryBound(to: uv_stream_t.self)
            guard uv_accept(handle, stream) == 0 else { return Self.drop(stream) }
            server.accepted(stream, remote: .unix(user: Self.peerUser(of: stream)))
        }
    }

    /// The user that connected to the Unix socket, as the kernel knows it.
    private static func peerUser(of stream: UnsafeMutablePointer<uv_stream_t>) -> UInt32? {
        var descriptor: uv_os_fd_t = -1
        let handle = UnsafeMutableRawPointer(stream).assumingMemoryBound(to: uv_handle_t.self)
        guard uv_fileno(handle, &descriptor) == 0 else { return nil }
        // `struct ucred` is process, user and group (unix(7)); Glibc's module shows it only to GNU sources.
        var credentials: [UInt32] = [0, 0, 0]
        let size = socklen_t(credentials.count * MemoryLayout<UInt32>.size)
        var length = size
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0, length == size else { return nil }
        return credentials[1]
    }

    /// Closes a stream that has no connection object.
    static func drop(_ stream: UnsafeMutablePointer<uv_stream_t>) {
        stream.pointee.data = nil
        UVHandle.close(stream)
    }

    private static func address(host: String, port: Int) throws(UVError) -> sockaddr_storage {
        var address = sockaddr_storage()
        guard let port = Int32(exactly: port), (0...65535).contains(port) else { throw UVError(call: "uv_ip4_addr", code: -EINVAL) }
        let name = host == "localhost" ? "127.0.0.1" : host
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            let asIPv4 = pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { uv_ip4_addr(name, port, $0) }
            guard asIPv4 != 0 else { return asIPv4 }
            return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { uv_ip6_addr(name, port, $0) }
        }
        try UVError.check(status, "uv_ip6_addr")
        return address
    }

    /// Removes the file of a Unix socket on which nobody listens, as a killed process leaves it.
    private static func removeStaleSocket(_ path: String) throws(UVError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw UVError(call: "uv_pipe_bind", code: -EEXIST) }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw UVError(call: "socket", code: -errno) }
        defer { Glibc.close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        // Only a refusal means that nobody listens; a full queue (EAGAIN) is somebody, and EACCES tells nothing.
        guard connected != 0, errno == ECONNREFUSED else { throw UVError(call: "uv_pipe_bind", code: -EADDRINUSE) }
        guard unlink(path) == 0 || errno == ENOENT else { throw UVError(call: "unlink", code: -errno) }
    }
}
