import CUV
import EventLoop

/// An HTTP/1.1 server on the libuv loop, over TCP and Unix sockets.
@LoopActor
public final class HTTPServer {
    public let limits: HTTPLimits
    let handler: any HTTPHandler
    let times: HTTPConnectionState.Times
    var date = HTTPDate()

    private var listeners: [HTTPListener] = []
    private var connections: [HTTPConnection] = []
    private var isShuttingDown = false
    private var onEmpty: [@LoopActor () -> Void] = []
    private var lastRequestID: UInt64 = 0

    /// A server that listens nowhere yet.
    public init(limits: HTTPLimits = .standard, handler: any HTTPHandler) {
        self.limits = limits
        self.handler = handler
        times = HTTPConnectionState.Times(limits)
    }

    /// Open connections.
    public var connectionCount: Int { connections.count }

    /// Listens on a numeric address (or `localhost`, which is 127.0.0.1) and returns the bound port; 0 lets the system choose.
    public func listen(host: String, port: Int) throws(UVError) -> Int {
        let listener = try HTTPListener(server: self, host: host, port: port)
        listeners.append(listener)
        return listener.port ?? port
    }

    /// Listens on a Unix socket with mode 0600. The file of a socket on which nobody listens is replaced; `EADDRINUSE` where
    /// somebody does, `EEXIST` where the path is something else.
    public func listen(unixPath: String) throws(UVError) {
        listeners.append(try HTTPListener(server: self, unixPath: unixPath))
    }

    /// Ends the server: no new connections, idle ones closed, requests under way answered within `grace`, the rest cut off.
    ///
    /// Exchanges are told through `onShutdown` at once, and through `onDisconnect` when they are cut off. Returns when the
    /// last connection is closed; a second call waits for the same.
    public func shutdown(grace: Duration) async {
        isShuttingDown = true
        for listener in listeners { listener.close() }
        listeners = []
        for connection in connections { connection.drain() }
        guard !connections.isEmpty else { return }
        let timer = LoopTimer(after: grace) { [self] in
            for connection in connections { connection.close() }
        }
        await withCheckedContinuation { continuation in
            onEmpty.append { continuation.resume() }
        }
        timer.cancel()
    }

    // MARK: Connections

    func accepted(_ stream: UnsafeMutablePointer<uv_stream_t>, remote: HTTPRequest.Remote) {
        guard !isShuttingDown else { return HTTPListener.drop(stream) }
        if connections.count >= limits.connectionsMax { closeLongestIdle() }
        let connection = HTTPConnection(server: self, stream: stream, remote: remote)
        connection.index = connections.count
        connections.append(connection)
        if connections.count > limits.connectionsMax {
            connection.refuse(
                HTTPRefusal(
                    .serviceUnavailable, "too_many_connections", "The server has \(limits.connectionsMax) open connections already."))
            // Without lingering: what has no place must not stay.
            connection.close()
        } else {
            connection.start()
        }
    }

    private func closeLongestIdle() {
        let idle = connections.filter(\.isIdle)
        idle.min { ($0.state.deadline ?? 0) < ($1.state.deadline ?? 0) }?.close()
    }

    func remove(_ connection: HTTPConnection) {
        let last = connections.removeLast()
        if last !== connection {
            connections[connection.index] = last
            last.index = connection.index
        }
        guard connections.isEmpty else { return }
        let waiting = onEmpty
        onEmpty = []
        for resume in waiting { resume() }
    }

    func makeRequestID() -> UInt64 {
        lastRequestID += 1
        return lastRequestID
    }

    func makeShutdownRequest() -> UnsafeMutablePointer<uv_shutdown_t> { .allocate(capacity: 1) }
}
