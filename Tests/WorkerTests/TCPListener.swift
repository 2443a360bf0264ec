import Glibc
import Testing

/// A socket that takes connections and never answers, or one that only keeps others from its port.
final class TCPListener {
    let port: Int
    private let descriptor: Int32
    private var connections: [Int32] = []

    init(isListening: Bool = true) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && (!isListening || listen(descriptor, 16) == 0)
                    ? getsockname(descriptor, generic, &length) : -1
            }
        }
        try #require(result == 0)
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit {
        for connection in connections { close(connection) }
        close(descriptor)
    }

    /// Waits for a connection.
    func accept() throws {
        let connection = Glibc.accept(descriptor, nil, nil)
        try #require(connection >= 0)
        connections.append(connection)
    }
}
